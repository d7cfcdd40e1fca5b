// Who they are: the first of them, each with a portrait, and all of them as a file.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, label } from '../format.js';
import { useAnswer } from '../hooks.js';
import { Answer, Problem } from '../parts/problem.jsx';
import { Picker } from '../parts/picker.jsx';
import { IconButton } from '../parts/icons.jsx';
import { NumberInput, Select } from '../parts/select.jsx';
import { Portrait } from './portrait.jsx';

const FORMATS = {
  csv: ['CSV', 'text/csv'],
  ndjson: ['NDJSON', 'application/x-ndjson'],
  parquet: ['Parquet', 'application/vnd.apache.parquet'],
  roaring: ['Roaring', 'application/vnd.roaring'],
};
const PAGE = 25;

export function Members({ view, setView }) {
  const { api, people, sent, asked, version } = usePage();
  const [person, setPerson] = useState(null);
  const tags = people.fields.filter(({ kind }) => kind === 'tag').map(({ name }) => name);
  const ids = people.fields.filter(({ kind, name }) => kind === 'id' && name !== 'one_id').map(({ name }) => name);
  const columns = view.columns ?? tags.slice(0, 6);
  const limit = view.limit ?? PAGE;
  const body = { where: sent.where, ...asked, columns: ['one_id', ...ids, ...columns], limit, ...(view.order && { order_by: view.order }), ...(view.sample && { sample: view.sample }) };
  const answer = useAnswer(JSON.stringify([body, version]), async (signal) => {
    const text = await (await api.stream(body, 'application/x-ndjson', signal)).text();
    return { rows: text.split('\n').filter(Boolean).map((line) => JSON.parse(line)) };
  }, 250);
  const items = tags.filter((name) => !columns.includes(name)).map((name) => ({ key: name, label: name, group: 'Tags' }));
  const orders = people.fields.filter(({ type, kind }) => kind === 'tag' && ['number', 'date'].includes(type)).flatMap(({ name }) => [[`${name} DESC`, `${name}, highest first`], [`${name} ASC`, `${name}, lowest first`]]);
  return (
    <>
      <div class="controls">
        <Picker items={items} label="column" icon="plus" onPick={({ key }) => setView({ columns: [...columns, key] })} />
        <Select label="order" value={view.order ?? ''} options={[['', 'in order of OneID'], ...orders]} onChange={(order) => setView({ order })} />
        <Export body={{ where: sent.where, ...asked, columns: ['one_id', ...ids, ...columns], ...(view.order && { order_by: view.order }) }} />
      </div>
      <Answer answer={answer} lines={14}>
        {({ rows }) => (
          <>
            <div class="scroll">
              <table class="grid people">
                <thead><tr><th class="num">OneID</th>{ids.map((id) => <th key={id}>{id}</th>)}{columns.map((name) => (
                  <th key={name}>{name}<IconButton name="remove" label={`take ${name} away`} onClick={() => setView({ columns: columns.filter((one) => one !== name) })} /></th>
                ))}</tr></thead>
                <tbody>
                  {rows.map((row) => (
                    <tr key={row.one_id} class={person?.one_id === row.one_id ? 'is-opened' : ''}>
                      <td class="num"><button type="button" class="value" onClick={() => setPerson(row)}>{row.one_id}</button></td>
                      {ids.map((id) => <td key={id}>{row[id] === null || row[id] === undefined ? <span class="muted">–</span> : <button type="button" class="value" onClick={() => setPerson(row)}>{row[id]}</button>}</td>)}
                      {columns.map((name) => <td key={name} class={typeof row[name] === 'number' ? 'num' : ''}>{row[name] === null || row[name] === undefined ? <span class="muted">–</span> : label(row[name])}</td>)}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {!rows.length && <p class="muted">Nobody.</p>}
            {rows.length === limit && limit < 1000 && <button type="button" onClick={() => setView({ limit: Math.min(1000, limit * 2) })}>more</button>}
          </>
        )}
      </Answer>
      {person && <Portrait person={person} ids={ids} onClose={() => setPerson(null)} />}
    </>
  );
}

/** All of them, or so many by chance, as a file. */
function Export({ body }) {
  const { api, counts, info } = usePage();
  const [format, setFormat] = useState('csv');
  const [sample, setSample] = useState('');
  const [state, setState] = useState({});
  const save = async () => {
    setState({ isBusy: true });
    try {
      const [, accept] = FORMATS[format];
      const { columns, order_by, ...rest } = body;
      const shape = format === 'roaring' ? {} : { columns, ...(order_by && { order_by }) };
      const response = await api.stream({ ...rest, ...shape, ...(sample && { sample }) }, accept);
      const url = URL.createObjectURL(await response.blob());
      const anchor = Object.assign(document.createElement('a'), { href: url, download: `${info.name}.${format}` });
      anchor.click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
      setState({});
    } catch (error) {
      setState({ error });
    }
  };
  return (
    <span class="export">
      <Select label="file" value={format} options={Object.entries(FORMATS).map(([key, [words]]) => [key, words])} onChange={setFormat} />
      <NumberInput min="1" label="so many by chance" placeholder="all" value={sample} onChange={(n) => setSample(Number.isNaN(n) ? '' : n)} />
      <button type="button" disabled={state.isBusy} onClick={save}>{state.isBusy ? 'writing…' : `Export ${count(sample || counts.total)}`}</button>
      <Problem error={state.error} />
    </span>
  );
}

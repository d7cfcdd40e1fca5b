// What people were and what they became: a tag then against the same tag now; a cell is a question of its own.

import { usePage } from '../context.js';
import { count, label, percent } from '../format.js';
import { Answer } from '../parts/problem.jsx';
import { Field, Segments, Select } from '../parts/select.jsx';
import { useQuestion } from './asking.js';

const SHOWN_MAX = 40;

export function Flow({ view, setView }) {
  const { people, states, info } = usePage();
  const tags = people.fields.filter(({ kind, type }) => kind === 'tag' && type !== 'set');
  const few = tags.filter(({ type }) => type === 'category').sort((a, b) => info.tags[a.name].value_count - info.tags[b.name].value_count);
  const tag = view.tag ?? (few[1] ?? few[0] ?? tags[0])?.name;
  const from = view.from ?? states[states.length - 1];
  const isBinned = ['number', 'date'].includes(tags.find(({ name }) => name === tag)?.type);
  const answer = useQuestion('flow', tag && from ? { tag, from, ...(view.to && { to: view.to }), ...(isBinned && { bins: { quantiles: 5 } }) } : null, { hasBase: false });
  const known = states.map((state) => [state, state]);
  return (
    <>
      <div class="controls">
        <Field label="Tag"><Select label="tag" value={tag} options={tags.map(({ name }) => [name, name])} onChange={(next) => setView({ tag: next })} /></Field>
        <Field label="From"><Select label="from" value={from} options={known} onChange={(next) => setView({ from: next })} /></Field>
        <Field label="To"><Select label="to" value={view.to ?? ''} options={[['', 'now'], ...known]} onChange={(next) => setView({ to: next })} /></Field>
        <Segments label="what is shown" value={view.shows ?? 'count'} options={[['count', 'people'], ['row', 'row %']]} onChange={(shows) => setView({ shows })} />
      </div>
      {!from && <p class="muted">No earlier state of this space is kept yet. One is kept at the end of each day; another can be taken at any time with <code>POST …/snapshots</code>.</p>}
      {from && <Answer answer={answer} lines={10}>{(data) => <Cells data={largest(data)} shows={view.shows ?? 'count'} />}</Answer>}
    </>
  );
}

/** The rows and columns with the most people, in their order; all that are not values. */
function largest(data) {
  const size = (at) => data.row_totals[at] + data.column_totals[at];
  const values = data.rows.map((_, at) => at).filter((at) => data.row_kinds[at] === 'value');
  const kept = new Set([...values].sort((a, b) => size(b) - size(a)).slice(0, SHOWN_MAX));
  const of = (kinds) => kinds.map((_, at) => at).filter((at) => kinds[at] !== 'value' || kept.has(at));
  const [rows, columns] = [of(data.row_kinds), of(data.column_kinds)];
  const pick = (from, by) => by.map((at) => from[at]);
  return {
    rows: pick(data.rows, rows), row_kinds: pick(data.row_kinds, rows), row_totals: pick(data.row_totals, rows), row_where: pick(data.row_where, rows),
    columns: pick(data.columns, columns), column_kinds: pick(data.column_kinds, columns), column_totals: pick(data.column_totals, columns), column_where: pick(data.column_where, columns),
    counts: rows.map((row) => pick(data.counts[row], columns)), hidden: values.length - kept.size,
  };
}

const words = { unknown: 'unknown', other: 'other', absent: 'not there yet' };

function Cells({ data, shows }) {
  const { addText } = usePage();
  const most = Math.max(...data.counts.flat(), 1);
  const name = (value, kind) => (kind === 'value' ? label(value) : words[kind]);
  const shown = (n, r) => (shows === 'row' ? percent(data.row_totals[r] ? n / data.row_totals[r] : 0) : count(n));
  return (
    <div class="scroll">
      <table class="heat">
        <thead><tr><th class="muted">was \ is</th>{data.columns.map((value, c) => <th class="num" key={c}>{name(value, data.column_kinds[c])}</th>)}<th class="num muted">all</th></tr></thead>
        <tbody>
          {data.rows.map((value, r) => (
            <tr key={r}>
              <th scope="row">{name(value, data.row_kinds[r])}</th>
              {data.counts[r].map((n, c) => (
                <td key={c} class={r === c ? 'is-same' : ''}>
                  <button type="button" class="cell num" style={{ '--heat': n / most }} onClick={() => addText(`(${data.row_where[r]}) AND (${data.column_where[c]})`)}
                    title={`${name(value, data.row_kinds[r])} → ${name(data.columns[c], data.column_kinds[c])}: ${count(n)} people`}>{shown(n, r)}</button>
                </td>
              ))}
              <td class="num muted">{count(data.row_totals[r])}</td>
            </tr>
          ))}
        </tbody>
        <tfoot><tr><th class="muted">all</th>{data.column_totals.map((n, c) => <td key={c} class="num muted">{count(n)}</td>)}<td /></tr></tfoot>
      </table>
      {data.hidden > 0 && <p class="muted">The {SHOWN_MAX} values with the most people; {count(data.hidden)} more are not shown.</p>}
    </div>
  );
}

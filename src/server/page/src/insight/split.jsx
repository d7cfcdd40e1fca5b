// A stable random split of these people: the same in the same part next week, however many come.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, percent } from '../format.js';
import { Answer, Problem } from '../parts/problem.jsx';
import { Field, NumberInput } from '../parts/select.jsx';
import { useQuestion } from './asking.js';

const USUAL = [{ name: 'test', share: 0.45 }, { name: 'other', share: 0.45 }];

export function Split({ view, setView }) {
  const parts = view.parts ?? USUAL;
  const salt = view.salt ?? 'split';
  const put = (at, more) => setView({ parts: parts.map((part, i) => (i === at ? { ...part, ...more } : part)) });
  const isWhole = salt !== '' && parts.length > 0 && parts.every(({ name, share }) => name && share > 0);
  const body = { parts, salt };
  const answer = useQuestion('split', isWhole ? body : null, { hasBase: false });
  const left = 1 - parts.reduce((sum, { share }) => sum + (Number(share) || 0), 0);
  return (
    <div class="columns">
      <div>
        <Field label="Name of the split (another name, another split)"><input class="text" aria-label="salt" value={salt} onInput={(event) => setView({ salt: event.target.value })} /></Field>
        <h3>Parts</h3>
        <ul class="parts">
          {parts.map((part, at) => (
            <li key={at}>
              <input class="text" aria-label={`part ${at + 1}`} value={part.name} onInput={(event) => put(at, { name: event.target.value })} />
              <NumberInput label={`share of part ${at + 1}`} value={part.share} onChange={(share) => put(at, { share })} />
              <button type="button" class="link" onClick={() => setView({ parts: parts.filter((_, i) => i !== at) })}>remove</button>
            </li>
          ))}
          <li class="muted">holdout <b class="num">{percent(Math.max(0, left))}</b></li>
          <li><button type="button" class="link" onClick={() => setView({ parts: [...parts, { name: `part_${parts.length + 1}`, share: Math.max(0, Math.round(left * 1e6) / 1e6) || 0.1 }] })}>another part…</button></li>
        </ul>
      </div>
      <Answer answer={answer} lines={6}>
        {(data) => {
          const rows = data.holdout ? [...data.parts, { ...data.holdout, name: data.holdout.name ?? 'holdout' }] : data.parts;
          return (
            <>
              <Taken rows={rows.map(({ name, count: taken, where }) => ({ name, taken, where }))} whole={data.count} />
              <SaveParts call="split" body={{ ...body, ...(data.holdout && { holdout: 'holdout' }) }} />
            </>
          );
        }}
      </Answer>
    </div>
  );
}

/** Disjoint parts of a whole: how many, and a way to look at them. `rows` are `{name, taken, where, count?}`. */
export function Taken({ rows, whole }) {
  const { openText } = usePage();
  const hasCount = rows.some((row) => row.count !== undefined);
  return (
    <table class="grid taken">
      <thead><tr><th>part</th>{hasCount && <th class="num">qualify</th>}<th class="num">people</th><th class="num">share</th><th /></tr></thead>
      <tbody>
        {rows.map((row, at) => (
          <tr key={at}>
            <td>{row.where ? <button type="button" class="value" title={row.where} onClick={() => openText(row.where)}>{row.name}</button> : row.name}</td>
            {hasCount && <td class="num muted">{count(row.count)}</td>}
            <td class="num">{count(row.taken)}</td>
            <td class="num muted">{percent(whole ? row.taken / whole : 0)}</td>
            <td class="bar-cell"><span class="bar"><span class="bar-fill" style={{ width: `${whole ? (100 * row.taken) / whole : 0}%` }} /></span></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Saves each part as an audience under its name. */
export function SaveParts({ call, body }) {
  const { api, sent, unbased, refreshAudiences } = usePage();
  const [state, setState] = useState({});
  const save = async () => {
    setState({ isBusy: true });
    try {
      await api.question(call, { where: sent.where, ...unbased, ...body, save: true });
      refreshAudiences();
      setState({ isSaved: true });
    } catch (error) {
      setState({ error });
    }
  };
  return (
    <div class="dialog-buttons">
      <Problem error={state.error} />
      <span class="said" role="status">{state.isSaved ? 'saved' : ''}</span>
      <button type="button" disabled={state.isBusy} onClick={save}>Save each as an audience</button>
    </div>
  );
}

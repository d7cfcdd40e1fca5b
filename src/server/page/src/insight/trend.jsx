// How large the audience was at the end of each day that is kept, and who came and went between two of them.

import { usePage } from '../context.js';
import { count } from '../format.js';
import { Lines } from '../parts/chart.jsx';
import { Answer } from '../parts/problem.jsx';
import { Field, Select } from '../parts/select.jsx';
import { useAnswer } from '../hooks.js';
import { useQuestion } from './asking.js';

export function Trend({ view, setView }) {
  const { states } = usePage();
  const answer = useQuestion('series', {}, { hasBase: false });
  return (
    <>
      <Answer answer={answer} lines={10}>
        {({ rows }) => (rows.length
          ? <Lines days={rows.map(({ day }) => day)} series={[{ name: 'people', values: rows.map(({ people }) => people) }]} />
          : <p class="muted">No day of this space is kept yet. The state at the end of each day is kept as days go by, and then shown here.</p>)}
      </Answer>
      {states.length > 0 && <Moves view={view} setView={setView} />}
      <Frozen />
    </>
  );
}

/** Who is in it now and was not then, and the other way round. */
function Moves({ view, setView }) {
  const { api, canonicalText, states, openText, unbased, version } = usePage();
  const since = states.includes(view.since) ? view.since : states[0];
  const literal = /^\d{4}-\d{2}-\d{2}$/.test(since) ? `DATE '${since}'` : `'${since.replaceAll("'", "''")}'`;
  const text = canonicalText;
  const entered = `(${text}) AND NOT was(${literal}, ${text})`;
  const left = `was(${literal}, ${text}) AND NOT (${text})`;
  const ask = (where, signal) => api.question('count', { where, ...unbased }, signal).then((answer) => answer.count);
  const answer = useAnswer(text ? JSON.stringify([entered, unbased, version]) : null, async (signal) => {
    const [a, b] = await Promise.all([ask(entered, signal), ask(left, signal)]);
    return { entered: a, left: b };
  });
  if (!text) return null;
  return (
    <div class="moves">
      <Field label="Since"><Select label="since" value={since} options={states.map((state) => [state, state])} onChange={(next) => setView({ since: next })} /></Field>
      <Answer answer={answer} lines={1}>
        {(data) => (
          <p>
            <button type="button" class="value" onClick={() => openText(entered)}><b class="num">{count(data.entered)}</b> came in</button>{' · '}
            <button type="button" class="value" onClick={() => openText(left)}><b class="num">{count(data.left)}</b> went</button>
          </p>
        )}
      </Answer>
    </div>
  );
}

/** The dated snapshots of the audience that is open. */
function Frozen() {
  const { api, opened } = usePage();
  const answer = useAnswer(opened ? `trend ${opened.name}` : null, (signal) => api.get(['audiences', opened.name, 'trend'], signal));
  if (!opened) return null;
  return (
    <>
      <h3>“{opened.name}” as it was frozen</h3>
      <Answer answer={answer} lines={2}>
        {({ rows }) => (rows.length ? (
          <table class="grid">
            <thead><tr><th>day</th><th class="num">people</th><th class="num">came in</th><th class="num">went</th></tr></thead>
            <tbody>{rows.map((row) => <tr key={row.date}><td class="num">{row.date}</td><td class="num">{count(row.count)}</td><td class="num">{count(row.entered)}</td><td class="num">{count(row.left)}</td></tr>)}</tbody>
          </table>
        ) : <p class="muted">It has not been frozen yet.</p>)}
      </Answer>
    </>
  );
}

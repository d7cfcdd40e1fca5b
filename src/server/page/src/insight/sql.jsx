// A console for whole statements.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, label, took } from '../format.js';
import { useAnswer } from '../hooks.js';
import { Answer } from '../parts/problem.jsx';

const SHOWN_MAX = 500;

export function Sql({ view, setView }) {
  const { api, people, canonicalText, unbased, version } = usePage();
  const first = people.fields.find(({ type }) => type === 'category')?.name;
  const usual = first ? `SELECT ${first}, count(*)\nFROM profiles${canonicalText && canonicalText !== 'TRUE' ? `\nWHERE ${canonicalText}` : ''}\nGROUP BY ${first}\nORDER BY 2 DESC\nLIMIT 20` : 'SELECT count(*) FROM profiles';
  const [text, setText] = useState(view.sql ?? usual);
  const run = (event) => {
    event.preventDefault();
    setView({ sql: text });
  };
  const answer = useAnswer(view.sql ? JSON.stringify([view.sql, unbased, version]) : null, (signal) => api.question('query', { sql: view.sql, ...unbased }, signal), 0);
  const rows = Math.min(16, Math.max(6, text.split('\n').length + 1));
  const at = answer.error?.at;
  return (
    <>
      <form class="sql" onSubmit={run}>
        <textarea aria-label="SQL statement" rows={rows} spellcheck={false} value={text} onInput={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && run(event)} />
        <div class="dialog-buttons"><span class="muted">Ctrl+Enter runs it</span><button type="submit" class="primary">Run</button></div>
      </form>
      {at?.line && <pre class="caret">{text.split('\n')[at.line - 1]}{'\n'}{' '.repeat(at.column - 1)}<b>{'^'.repeat(Math.max(1, at.length))}</b></pre>}
      {view.sql && (
        <Answer answer={answer} lines={8}>
          {(data) => (
            <div class="scroll">
              <table class="grid">
                <thead><tr>{data.columns.map((name, c) => <th key={c} class={typeof data.rows[0]?.[c] === 'number' ? 'num' : ''}>{name}</th>)}</tr></thead>
                <tbody>{data.rows.slice(0, SHOWN_MAX).map((row, r) => <tr key={r}>{row.map((value, c) => <td key={c} class={typeof value === 'number' ? 'num' : ''}>{value === null ? <span class="muted">unknown</span> : label(value)}</td>)}</tr>)}</tbody>
              </table>
              <p class="muted">{count(data.rows.length)} rows{data.rows.length > SHOWN_MAX ? `, the first ${SHOWN_MAX} shown` : ''} in {took(data.took_us)}</p>
            </div>
          )}
        </Answer>
      )}
    </>
  );
}

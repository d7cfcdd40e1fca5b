// The question as text, beside the tree: either changes the other. An error is marked at its place.

import { useEffect, useRef, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { useSettled } from './hooks.js';
import { isEveryone, rootOf } from './tree.js';
import { fixed, highlighted, pretty } from './sql.jsx';

export function TextPane({ draft, setDraft, canonical }) {
  const { api, asked, setTree, sent } = usePage();
  const [error, setError] = useState(null);
  const [isFocused, setFocused] = useState(false);
  const settled = useSettled(draft, 250);
  const area = useRef(null);
  const shown = draft ?? (isEveryone(sent.where) ? '' : canonical.data ? pretty(canonical.data.text) : '');

  useEffect(() => {
    if (settled === null) return undefined;
    const control = new AbortController();
    if (!settled.trim()) {
      setError(null);
      setTree(rootOf({ combinator: 'and', rules: [] }));
      return undefined;
    }
    const { base: _, ...rest } = asked;
    api.question('plan', { where: settled, ...rest }, control.signal).then(
      (answer) => {
        setError(null);
        setTree(rootOf(answer.tree));
        if (document.activeElement !== area.current) setDraft(null);
      },
      (problem) => problem.name !== 'AbortError' && setError(problem),
    );
    return () => control.abort();
  }, [settled, api]);
  useEffect(() => {
    if (draft === null) setError(null);
  }, [draft]);

  const change = (text) => setDraft(text);
  const leave = () => {
    setFocused(false);
    if (!error && draft === settled) setDraft(null);
  };
  const mark = error?.at?.line ? spanOf(shown, error.at) : null;
  const fix = mark && fixed(error.hint);
  const apply = () => {
    setDraft(shown.slice(0, mark.start) + fix + shown.slice(mark.end));
    area.current.focus();
  };
  const rows = Math.min(14, Math.max(5, shown.split('\n').length + 1));
  return (
    <section class="text-pane" aria-label="as text">
      <header>
        <h2>As text</h2>
        <span class="muted">{error ? 'not understood yet' : draft !== null && isFocused ? 'the rules follow what you type' : 'type SQL here: the rules follow'}</span>
      </header>
      <div class={`editor ${error ? 'has-error' : ''}`}>
        <pre aria-hidden="true">{highlighted(shown, mark)}{'\n'}</pre>
        <textarea ref={area} aria-label="the question as text" aria-invalid={!!error} aria-describedby="text-error" spellcheck={false} rows={rows} value={shown}
          placeholder={"gender = 'F' AND age BETWEEN 25 AND 39"} onFocus={() => setFocused(true)} onBlur={leave}
          onInput={(event) => change(event.target.value)} onScroll={(event) => { event.target.previousSibling.scrollTop = event.target.scrollTop; }} />
      </div>
      <div class="text-error" id="text-error" role="status">
        {error && (
          <>
            {mark && <pre class="caret">{mark.line}{'\n'}{' '.repeat(mark.column)}<b>{'^'.repeat(Math.max(1, mark.length))}</b></pre>}
            <span>{error.message}</span>
            {error.hint && (fix ? <button type="button" class="hint" onClick={apply}>{error.hint}</button> : <span class="muted"> {error.hint}</span>)}
          </>
        )}
      </div>
    </section>
  );
}

/** Where an error stands: the server counts characters (of the line, from 1), we count code units. */
function spanOf(text, { line, column, length }) {
  const lines = text.split('\n');
  const full = lines[line - 1] ?? '';
  const units = (characters, from = '') => [...(from || full)].slice(0, characters).join('').length;
  const before = units(column - 1);
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + before;
  const size = units(length, [...text.slice(start)].join(''));
  const from = Math.max(0, before - 40);
  return { start, end: start + size, line: full.slice(from, from + 90), column: before - from, length: Math.min(size, 90 - (before - from)) };
}

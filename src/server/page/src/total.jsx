// How many: the number that all the rules come to, its share of the base, and what can be done with the question.

import { useRef, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { count, percent, took } from './format.js';
import { Field, Select } from './parts/select.jsx';
import { Problem, Warnings } from './parts/problem.jsx';
import { isEveryone } from './tree.js';

export function Total({ canonical, onSave }) {
  const { counts, sent, opened, asked } = usePage();
  const { total, base, share } = counts;
  return (
    <section class="total" aria-label="how many">
      <div class={`total-number num ${counts.busy ? 'is-stale' : ''}`} aria-live="polite" data-total={counts.busy ? '' : (total ?? '')}>{total === null ? '…' : count(total)}</div>
      <div class="total-share">
        <span class="share-bar"><span style={{ width: `${Math.min(100, (share ?? 0) * 100)}%` }} /></span>
        <span class="num">{percent(share)}</span>
        <span class="muted"> of {count(base)} {asked.base ? 'in the base' : 'people'}</span>
        <span class="took muted num" title="time on the server">{took(counts.took_us)}</span>
      </div>
      <div class="total-notes">
        {opened && <p class="muted">Opened: <b>{opened.name}</b> version {opened.version}</p>}
        {sent.waiting > 0 && <p class="note">{sent.waiting === 1 ? 'One rule is' : `${sent.waiting} rules are`} not filled in yet and left out.</p>}
        <Problem error={counts.error} onRetry={counts.retry} />
        <Warnings warnings={counts.warnings} />
      </div>
      <Buttons canonical={canonical} onSave={onSave} isEmpty={isEveryone(sent.where)} />
      <Scope />
    </section>
  );
}

function Buttons({ canonical, onSave }) {
  const { history, api, sent, asked } = usePage();
  const [said, say] = useState('');
  const timer = useRef(null);
  const copy = async (words, text) => {
    try {
      await navigator.clipboard.writeText(text);
      say(`${words} copied`);
    } catch {
      say('the browser does not let this page copy');
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => say(''), 2000);
  };
  const text = async () => (canonical.isFresh && canonical.data ? canonical.data.text : (await api.question('plan', { where: sent.where })).text);
  const body = () => JSON.stringify({ where: sent.where, ...asked });
  const curl = () => `curl -s ${location.origin}${api.root}/count -H 'content-type: application/json' -d '${body().replaceAll("'", `'\\''`)}'`;
  const copies = [
    ['text', 'as text', async () => copy('Text', await text())],
    ['json', 'as JSON', () => copy('JSON', JSON.stringify(sent.where, null, 2))],
    ['curl', 'as curl', () => copy('curl', curl())],
    ['link', 'a link', () => copy('Link', location.href)],
  ];
  return (
    <div class="buttons">
      <button type="button" class="primary" onClick={onSave}>Save…</button>
      <Select className="copy" label="copy" value="" options={[['', 'Copy…'], ...copies.map(([key, words]) => [key, words])]} onChange={(key) => copies.find(([k]) => k === key)?.[2]()} />
      <button type="button" onClick={history.undo} disabled={!history.canUndo}>Undo</button>
      <button type="button" onClick={history.redo} disabled={!history.canRedo}>Redo</button>
      <button type="button" onClick={history.clear}>Clear</button>
      <span class="said" role="status">{said}</span>
    </div>
  );
}

/** What the question is held against, and when it is asked. */
function Scope() {
  const { asked, setAsked, audiences, today, states } = usePage();
  const named = audiences.map(({ name }) => [`in_audience('${name.replaceAll("'", "''")}')`, name]);
  const isCustom = !!asked.base && !named.some(([text]) => text === asked.base);
  const [isTyping, setTyping] = useState(isCustom);
  const choose = (key) => {
    setTyping(key === 'text');
    setAsked({ base: key === 'text' ? (asked.base ?? '') : key });
  };
  return (
    <div class="scope">
      <Field label="Held against">
        <Select label="base" value={isTyping || isCustom ? 'text' : (asked.base ?? '')} options={[['', 'everyone'], ...named, ['text', 'those who …']]} onChange={choose} />
      </Field>
      <Field label="As of">
        <input type="date" aria-label="as of" title="what “today” means in the question" value={asked.as_of ?? ''} placeholder={today} onInput={(event) => setAsked({ as_of: event.target.value })} />
      </Field>
      <Field label="State">
        <Select label="state" value={asked.state ?? ''} options={[['', 'now'], ...states.map((state) => [state, state])]} onChange={(state) => setAsked({ state })} />
      </Field>
      {(isTyping || isCustom) && (
        <input class="text base-text" aria-label="base as text" placeholder="city = 'Shanghai'" value={asked.base ?? ''} onChange={(event) => setAsked({ base: event.target.value.trim() })} />
      )}
    </div>
  );
}

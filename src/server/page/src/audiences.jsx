// Saved audiences: found, opened, used as a rule, looked back on, deleted.

import { useMemo, useState } from 'preact/hooks';
import { usePage } from './context.js';
import { count, moment } from './format.js';
import { inTurn, useAnswer } from './hooks.js';
import { Dialog } from './parts/dialog.jsx';
import { IconButton } from './parts/icons.jsx';
import { Answer, Problem } from './parts/problem.jsx';
import { pretty } from './sql.jsx';

const COUNTED_MAX = 40;

export function Audiences() {
  const { audiences, opened } = usePage();
  const [text, setText] = useState('');
  const [shown, setShown] = useState(null);
  const wanted = text.trim().toLowerCase();
  const found = audiences.filter(({ name, description, labels }) => [name, description, ...labels].join(' ').toLowerCase().includes(wanted));
  const counts = useSizes(found);
  return (
    <nav class="audiences" aria-label="saved audiences">
      <header><h2>Audiences</h2><span class="muted num">{count(audiences.length)}</span></header>
      {audiences.length > 5 && <input type="search" aria-label="find an audience" placeholder="Find" value={text} onInput={(event) => setText(event.target.value)} />}
      <ul>
        {found.map((audience) => (
          <Line key={audience.name} audience={audience} size={counts.get(audience.name)} isOpened={opened?.name === audience.name} onHistory={() => setShown(audience.name)} />
        ))}
      </ul>
      {!audiences.length && <p class="muted">None yet. Save a question, and it can be opened again, used as a rule, and compared.</p>}
      {shown && <History name={shown} onClose={() => setShown(null)} />}
    </nav>
  );
}

/** How many each of the first ones holds. */
function useSizes(audiences) {
  const { api, version, unbased } = usePage();
  const names = audiences.slice(0, COUNTED_MAX).map(({ name }) => name);
  const key = names.length ? JSON.stringify([names, audiences.map((one) => one.version), version, unbased]) : null;
  const answer = useAnswer(key, (signal) => inTurn(names, 2, async (name) => {
    const where = { combinator: 'and', rules: [{ audience: name }] };
    return [name, await api.question('count', { where, ...unbased }, signal).then(({ count: n }) => n, () => null)];
  }), 300);
  return useMemo(() => new Map(answer.data ?? []), [answer.data]);
}

function Line({ audience, size, isOpened, onHistory }) {
  const { addRules, openAudience } = usePage();
  return (
    <li class={isOpened ? 'is-opened' : ''}>
      <button type="button" class="audience" title={audience.text} aria-current={isOpened} onClick={() => openAudience(audience.name)}>
        <span class="audience-name">{audience.name}</span>
        <span class="num muted">{size === undefined ? '' : count(size)}</span>
        {audience.description && <span class="audience-words muted">{audience.description}</span>}
        {audience.labels.length > 0 && <span class="labels">{audience.labels.map((one) => <span class="label" key={one}>{one}</span>)}</span>}
      </button>
      <span class="audience-actions">
        <IconButton name="plus" label={`add ${audience.name} as a rule`} onClick={() => addRules({ audience: audience.name })} />
        <IconButton name="chevron" label={`about ${audience.name}`} onClick={onHistory} />
      </span>
    </li>
  );
}

function History({ name, onClose }) {
  const { api, openText, openAudience, refreshAudiences, setOpened, opened } = usePage();
  const answer = useAnswer(`about ${name}`, (signal) => api.audience(name, signal), 0);
  const [error, setError] = useState(null);
  const remove = async () => {
    if (!confirm(`Delete the audience “${name}”?`)) return;
    try {
      await api.remove(name);
      if (opened?.name === name) setOpened(null);
      refreshAudiences();
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <Dialog title={name} onClose={onClose} isWide>
      <Answer answer={answer}>
        {(audience) => (
          <>
            <p>{audience.description || <span class="muted">no description</span>}</p>
            <p><b class="num">{count(audience.count)}</b> people · version {audience.version}, {moment(audience.changed_at)}{audience.changed_by ? ` by ${audience.changed_by}` : ''}</p>
            <pre class="code">{pretty(audience.text)}</pre>
            {audience.uses.length > 0 && <p>Built on: {audience.uses.join(', ')}</p>}
            {audience.used_by.length > 0 && <p>Used by: {audience.used_by.join(', ')}</p>}
            <Frozen name={name} />
            {audience.history.length > 0 && <h3>Before</h3>}
            <ul class="versions">
              {audience.history.map((old) => (
                <li key={old.version}>
                  <span>version {old.version}, {moment(old.changed_at)}{old.changed_by ? ` by ${old.changed_by}` : ''}</span>
                  <code>{typeof old.where === 'string' ? old.where : JSON.stringify(old.where)}</code>
                  {typeof old.where === 'string' && <button type="button" class="link" onClick={() => { openText(old.where); onClose(); }}>look at it</button>}
                </li>
              ))}
            </ul>
            <Problem error={error} />
            <div class="dialog-buttons">
              <button type="button" class="danger" onClick={remove}>Delete</button>
              <button type="button" class="primary" onClick={() => { openAudience(name); onClose(); }}>Open</button>
            </div>
          </>
        )}
      </Answer>
    </Dialog>
  );
}

/** Its members as they were kept on some days. */
function Frozen({ name }) {
  const { api, addRules } = usePage();
  const kept = useAnswer(`frozen ${name}`, (signal) => api.get(['audiences', name, 'snapshots'], signal), 0);
  const [error, setError] = useState(null);
  const freeze = async () => {
    try {
      await api.post(['audiences', name, 'freeze'], {});
      setError(null);
      kept.retry();
    } catch (problem) {
      setError(problem);
    }
  };
  if (kept.error) return null;
  return (
    <>
      <h3>Frozen <button type="button" class="link" onClick={freeze}>freeze it as of today</button></h3>
      <Problem error={error} />
      <ul class="versions">
        {(kept.data?.snapshots ?? []).map(({ date, count: n }) => (
          <li key={date}><span>{date}: <b class="num">{count(n)}</b> people <button type="button" class="link" onClick={() => addRules({ snapshot: name, on: date })}>add as a rule</button></span></li>
        ))}
      </ul>
    </>
  );
}

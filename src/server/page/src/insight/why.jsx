// Why somebody is in the audience or is not: clause by clause, with what was found and the day it changes.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { label } from '../format.js';
import { useAnswer } from '../hooks.js';
import { Answer } from '../parts/problem.jsx';
import { Field, Select } from '../parts/select.jsx';

export function Why({ view, setView }) {
  const { people } = usePage();
  const ids = people.fields.filter(({ kind, name }) => kind === 'id' && name !== 'one_id').map(({ name }) => [name, name]);
  const type = view.type ?? ids[0]?.[0];
  const [text, setText] = useState(view.id ?? '');
  const submit = (event) => {
    event.preventDefault();
    setView({ id: text.trim(), type });
  };
  return (
    <>
      <form class="controls" onSubmit={submit}>
        <Field label="Identity"><Select label="identity" value={type} options={ids} onChange={(next) => setView({ type: next })} /></Field>
        <Field label="Of whom"><input class="text" aria-label="whose" placeholder="M0000001" value={text} onInput={(event) => setText(event.target.value)} /></Field>
        <button type="submit" class="primary">Why?</button>
      </form>
      {view.id ? <Reasons id={{ [type]: view.id }} /> : <p class="muted">Name somebody, and see which rules hold for them and which do not.</p>}
    </>
  );
}

/** The clauses of the question for one person. */
export function Reasons({ id }) {
  const { api, sent, unbased, version } = usePage();
  const body = { where: sent.where, id, ...unbased };
  const answer = useAnswer(JSON.stringify([body, version]), (signal) => api.question('explain', body, signal), 0);
  return (
    <Answer answer={answer} lines={4}>
      {(data) => (
        <div class="reasons">
          <p class={data.matches ? 'is-in' : 'is-out'}>
            <b>{data.matches ? 'Yes' : 'No'}</b>
            <span class="muted">{data.changes_on ? `, until ${data.changes_on}: then ${data.matches_then ? 'yes' : 'no'}, if nothing else happens` : ', and time alone does not change it'}</span>
          </p>
          <Clauses clauses={data.clauses} combinator={data.combinator} isNot={data.not} />
        </div>
      )}
    </Answer>
  );
}

function Clauses({ clauses, combinator, isNot }) {
  return (
    <>
      {(isNot || clauses.length > 1) && <p class="muted">{isNot ? 'not ' : ''}{combinator === 'or' ? 'any of' : 'all of'}</p>}
      <ul>{clauses.map((clause) => <Reason key={clause.path} clause={clause} />)}</ul>
    </>
  );
}

function Reason({ clause }) {
  const { text, matches, value, threshold, changes_on, rules, combinator } = clause;
  return (
    <li class={matches ? 'is-in' : 'is-out'}>
      <span class="tick" aria-label={matches ? 'holds' : 'does not hold'}>{matches ? '✓' : '✗'}</span>
      <div>
        <code>{text}</code>
        {value !== undefined && <span class="found"> <Found value={value} />{threshold !== undefined && <> against <b class="num">{label(threshold)}</b></>}</span>}
        {changes_on && <span class="muted"> changes on {changes_on}</span>}
        {rules?.length > 0 && <Clauses clauses={rules} combinator={combinator} isNot={clause.not} />}
      </div>
    </li>
  );
}

/** What was found of the person: a value, or the parts of what was looked at. */
function Found({ value }) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return <>is <b>{label(value)}</b></>;
  const parts = Object.entries(value).filter(([, part]) => part !== null);
  return parts.map(([name, part]) => <span class="property" key={name}>{name} <b>{typeof part === 'object' && !Array.isArray(part) ? <Found value={part} /> : label(part)}</b></span>);
}

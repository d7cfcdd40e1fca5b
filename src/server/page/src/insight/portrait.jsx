// One person: identities, tags, what they did, the audiences they are in, and why they are (not) in this one.

import { usePage } from '../context.js';
import { label, moment } from '../format.js';
import { useAnswer } from '../hooks.js';
import { Dialog } from '../parts/dialog.jsx';
import { Answer } from '../parts/problem.jsx';
import { Reasons } from './why.jsx';

export function Portrait({ person, ids, onClose }) {
  const { api, addRules } = usePage();
  const type = ids.find((id) => person[id] !== null && person[id] !== undefined);
  const id = type && String(person[type]);
  const answer = useAnswer(type ? `${type} ${id}` : null, (signal) => api.portrait(type, id, signal), 0);
  return (
    <Dialog title={id ?? `OneID ${person.one_id}`} onClose={onClose} isWide>
      <Answer answer={answer} lines={12}>
        {(data) => (
          <div class="portrait">
            <section>
              <h3>Identities</h3>
              <dl class="facts">
                <div><dt>OneID</dt><dd class="num">{data.one_id}</dd></div>
                {Object.entries(data.identities).map(([name, values]) => <div key={name}><dt>{name}</dt><dd>{values.join(', ')}</dd></div>)}
              </dl>
              <h3>Audiences</h3>
              <p>{data.audiences.length ? data.audiences.map((name) => <span class="label" key={name}>{name}</span>) : <span class="muted">in no saved audience</span>}</p>
              <h3>Lately</h3>
              <ul class="events">
                {data.events.map((event, at) => (
                  <li key={at}>
                    <span class="num muted">{moment(event.at)}</span> <b>{event.event}</b>{' '}
                    {Object.entries(event.properties ?? {}).map(([name, value]) => <span key={name} class="property">{name} <b>{label(value)}</b></span>)}
                  </li>
                ))}
                {!data.events.length && <li class="muted">nothing</li>}
              </ul>
            </section>
            <section>
              <h3>Tags</h3>
              <dl class="facts">
                {Object.entries(data.tags).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{label(value)}</dd></div>)}
              </dl>
              <h3>In this question?</h3>
              <Reasons id={{ [type]: id }} />
              <button type="button" class="link" onClick={() => { addRules({ field: type, operator: 'in', value: [id] }); onClose(); }}>add a rule for just this person</button>
            </section>
          </div>
        )}
      </Answer>
      {!type && <p class="muted">This person has no identity left to look up.</p>}
    </Dialog>
  );
}

// Questions to begin with, made of the tags and events that the space has.

import { usePage } from './context.js';

export function Starters({ onPick }) {
  const { people, schema } = usePage();
  const starters = startersOf(people, schema);
  if (!starters.length) return null;
  return (
    <div class="starters">
      <p class="muted">Everyone, so far. Add a rule, type a condition, or begin with one of these:</p>
      <ul>
        {starters.map(([words, text]) => (
          <li key={text}>
            <button type="button" onClick={() => onPick(text)}><span>{words}</span><code>{text}</code></button>
          </li>
        ))}
      </ul>
    </div>
  );
}

const quoted = (name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`);

function startersOf(people, schema) {
  const of = (type) => people.fields.filter((field) => field.kind === 'tag' && field.type === type).map(({ name }) => quoted(name));
  const named = (type, ...wanted) => wanted.find((name) => of(type).includes(name)) ?? of(type)[0];
  const found = [];
  const number = named('number', 'spend', 'revenue', 'amount');
  const date = named('date', 'signup', 'created');
  const birthday = of('date').find((name) => name.includes('birth'));
  const id = people.fields.find(({ name, kind }) => kind === 'id' && name === 'phone') ?? people.fields.find(({ kind }) => kind === 'id');
  const events = Object.keys(schema.events ?? {});
  const event = events.find((name) => ['purchase', 'order'].includes(name)) ?? events[0];
  if (number) found.push([`The top fifth by ${number}`, `${number} >= (SELECT quantile(${number}, 0.8) FROM profiles)`]);
  if (date) found.push([`${date} in the last 90 days`, `${date} >= CURRENT_DATE - INTERVAL '90' DAY`]);
  if (birthday) found.push(['Birthday around New Year', `month_day(${birthday}) BETWEEN '12-29' AND '01-04'`]);
  if (id && id.name !== 'one_id') found.push([`No ${id.name} on file`, `${quoted(id.name)} IS NULL`]);
  if (event) {
    found.push([`Never any ${event}`, `NOT EXISTS (SELECT 1 FROM ${quoted(event)})`]);
    found.push([`${event}: twice or more in 60 days`, `(SELECT count(*) FROM ${quoted(event)} WHERE day >= CURRENT_DATE - INTERVAL '60' DAY) >= 2`]);
  }
  return found;
}

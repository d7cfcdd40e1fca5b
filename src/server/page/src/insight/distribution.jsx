// What the audience is like, tag by tag: shares beside those of the base.

import { usePage } from '../context.js';
import { count, label, number, percent } from '../format.js';
import { Histogram } from '../parts/chart.jsx';
import { Answer } from '../parts/problem.jsx';
import { Picker } from '../parts/picker.jsx';
import { IconButton } from '../parts/icons.jsx';
import { Field, Segments, Select } from '../parts/select.jsx';
import { indexClass, ruleFor, useQuestion } from './asking.js';

const FIRST = 6;
const TOPS = [['8', 'top 8'], ['20', 'top 20'], ['100', 'top 100'], ['1000', 'top 1,000']];
const BINS = [['', 'bins'], ['10', 'tenths'], ['4', 'quarters'], ['5', 'fifths']];

export function Distribution({ view, setView }) {
  const { people, schema, info } = usePage();
  const tags = view.tags ?? usual(people, info);
  const top = Number(view.top ?? 8);
  const bins = view.bins ? { quantiles: Number(view.bins) } : undefined;
  const answer = useQuestion('distribution', tags.length ? { tags, top, order: view.order ?? 'count', ...(bins && { bins }), ...(view.days && { window: windowOf(view.days) }) } : null);
  const items = itemsOf(people, schema).filter(({ key }) => !tags.includes(key));
  const hasEvents = tags.some((tag) => tag.includes('.'));
  return (
    <>
      <div class="controls">
        <Picker items={items} label="tag" icon="plus" onPick={({ key }) => setView({ tags: [key, ...tags] })} />
        <Segments label="order" value={view.order ?? 'count'} options={[['count', 'by size'], ['index', 'by index'], ['value', 'by name']]} onChange={(order) => setView({ order })} />
        <Select label="how many values" value={String(top)} options={TOPS} onChange={(next) => setView({ top: Number(next) })} />
        <Select label="numbers in" value={view.bins ?? ''} options={BINS} onChange={(next) => setView({ bins: next })} />
        {hasEvents && <Field label="events of the last"><Select label="window" value={view.days ?? ''} options={[['', 'any time'], ['7', '7 days'], ['30', '30 days'], ['90', '90 days'], ['365', '365 days']]} onChange={(days) => setView({ days })} /></Field>}
        <span class="legend"><i class="swatch" /> these people <i class="swatch is-base" /> the base</span>
      </div>
      <Answer answer={answer} lines={20}>
        {(data) => (
          <div class="cards">
            {tags.filter((tag) => data.tags[tag]).map((tag) => (
              <Card key={tag} tag={tag} data={data.tags[tag]} whole={data.count} onRemove={() => setView({ tags: tags.filter((one) => one !== tag) })} />
            ))}
          </div>
        )}
      </Answer>
    </>
  );
}

function windowOf(days) {
  const at = (back) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
  return { from: at(Number(days)), to: at(0) };
}

/** The tags to begin with: those with few values, then numbers. */
function usual(people, info) {
  const tags = people.fields.filter(({ kind }) => kind === 'tag');
  const size = ({ name }) => info.tags[name]?.value_count ?? 0;
  const few = tags.filter((tag) => ['category', 'set'].includes(tag.type)).sort((a, b) => size(a) - size(b));
  const numbers = tags.filter(({ type }) => type === 'number').slice(0, 2);
  const shown = [...few.slice(0, FIRST - numbers.length), ...numbers];
  return (shown.length ? shown : tags.slice(0, FIRST)).map(({ name }) => name);
}

function itemsOf(people, schema) {
  const tags = people.fields.filter(({ kind }) => kind === 'tag').map(({ name, type }) => ({ key: name, label: name, note: type, group: 'Tags' }));
  const properties = Object.entries(schema.events ?? {}).flatMap(([event, { properties: of }]) =>
    Object.entries(of ?? {}).filter(([, { type }]) => type === 'category' || type === 'flag')
      .map(([name, { type }]) => ({ key: `${event}.${name}`, label: `${event}.${name}`, note: type, group: 'What they did' })));
  return [...tags, ...properties];
}

function Card({ tag, data, whole, onRemove }) {
  const { people } = usePage();
  const field = people.fields.find(({ name }) => name === tag);
  const isBinned = data.min !== undefined;
  return (
    <article class="card" aria-label={tag}>
      <header>
        <h3>{tag}</h3>
        <span class="muted num">{percent(whole ? data.reach / whole : 0)} known</span>
        <IconButton name="remove" label={`take ${tag} away`} onClick={onRemove} />
      </header>
      {isBinned ? <Numbers tag={tag} data={data} field={field} /> : <Bars tag={tag} data={data} field={field} whole={whole} />}
    </article>
  );
}

function Bars({ tag, data, field, whole }) {
  const { addRules } = usePage();
  const largest = Math.max(...data.values.map((row) => Math.max(row.share ?? 0, row.base_share ?? 0)), 1e-9);
  const pick = (value) => (field ? addRules(ruleFor(tag, field.type, value)) : addRules(eventRule(tag, value)));
  return (
    <table class="bars">
      <colgroup><col class="value-column" /><col /><col class="count-column" /><col class="share-column" /><col class="index-column" /></colgroup>
      <thead class="visually-hidden"><tr><th>value</th><th>share</th><th>people</th><th>share</th><th>index</th></tr></thead>
      <tbody>
        {data.values.map((row) => (
          <tr key={row.value}>
            <th scope="row"><button type="button" class="value" title={`only ${label(row.value)}`} onClick={() => pick(row.value)}>{label(row.value)}</button></th>
            <td class="bar-cell"><Bar share={row.share} base={row.base_share} largest={largest} /></td>
            <td class="num" data-value={label(row.value)} data-count={row.count}>{count(row.count)}</td>
            <td class="num muted">{percent(row.share)}</td>
            <td class={`num index ${indexClass(row.index)}`} title="100 × share ÷ share of the base">{row.index === null ? '–' : Math.round(row.index)}</td>
          </tr>
        ))}
        {data.other > 0 && <Rest words="other" n={data.other} whole={whole} />}
        {data.unknown > 0 && <Rest words="unknown" n={data.unknown} whole={whole} onPick={field && (() => pick(null))} />}
      </tbody>
    </table>
  );
}

function Rest({ words, n, whole, onPick }) {
  return (
    <tr class="rest">
      <th scope="row">{onPick ? <button type="button" class="value" onClick={onPick}>{words}</button> : words}</th>
      <td class="bar-cell" />
      <td class="num">{count(n)}</td>
      <td class="num muted">{percent(whole ? n / whole : 0)}</td>
      <td />
    </tr>
  );
}

function Bar({ share, base, largest }) {
  const at = (part) => `${(100 * (part ?? 0)) / largest}%`;
  return (
    <span class="bar" title={`${percent(share)} of them, ${percent(base)} of the base`}>
      <span class="bar-fill" style={{ width: at(share) }} />
      <span class="bar-base" style={{ left: at(base) }} />
    </span>
  );
}

function eventRule(tag, value) {
  const [event, property] = tag.split('.');
  const condition = { combinator: 'and', rules: [{ field: property, operator: '=', value }] };
  return { combinator: 'and', rules: [{ field: event, operator: '=', match: { mode: 'some' }, value: condition }] };
}

function Numbers({ tag, data, field }) {
  const { addRules } = usePage();
  const literal = (edge) => (field?.type === 'date' ? { date: edge } : edge);
  const pick = ({ low, high }, isLast) => {
    if (low === undefined) return;
    const upper = { field: tag, operator: isLast ? '<=' : '<', value: literal(high) };
    addRules({ combinator: 'and', rules: [{ field: tag, operator: '>=', value: literal(low) }, upper] });
  };
  const [q1, q2, q3] = data.quartiles ?? [];
  return (
    <>
      <Histogram values={data.values} onPick={pick} />
      <dl class="figures">
        {[['least', data.min], ['a quarter', q1], ['half', q2], ['three quarters', q3], ['most', data.max], ['average', data.avg]].map(([words, value]) => (
          <div key={words}><dt>{words}</dt><dd class="num">{typeof value === 'string' ? value : number(value)}</dd></div>
        ))}
      </dl>
      {data.unknown > 0 && <p class="muted">unknown <span class="num">{count(data.unknown)}</span></p>}
    </>
  );
}

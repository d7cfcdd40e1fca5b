// What these people did: day by day, and how far they came through steps.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { eventScope } from '../fields.js';
import { count, percent } from '../format.js';
import { Lines } from '../parts/chart.jsx';
import { Answer } from '../parts/problem.jsx';
import { IconButton } from '../parts/icons.jsx';
import { Field, NumberInput, Segments, Select } from '../parts/select.jsx';
import { Condition } from '../builder/condition.jsx';
import { pruned, rootOf } from '../tree.js';
import { useQuestion } from './asking.js';

export function Events({ view, setView }) {
  const { people } = usePage();
  if (!people.events.length) return <p class="muted">This space knows no events.</p>;
  return (
    <>
      <div class="controls"><Segments label="what" value={view.what ?? 'series'} options={[['series', 'day by day'], ['funnel', 'funnel']]} onChange={(what) => setView({ what })} /></div>
      {view.what === 'funnel' ? <Funnel view={view} setView={setView} /> : <Series view={view} setView={setView} />}
    </>
  );
}

/** A condition that is kept in the address: sent as a tree, edited as one with ids. */
function useCondition(kept, keep) {
  const [node, set] = useState(() => (kept ? rootOf(kept) : undefined));
  const change = (next) => {
    set(next);
    const { where } = pruned(next);
    keep(where.rules.length ? where : undefined);
  };
  return [node, change];
}

function Series({ view, setView }) {
  const { people, schema, today } = usePage();
  const event = view.event ?? people.events.find((name) => name === 'purchase') ?? people.events[0];
  const scope = eventScope(schema, event);
  const numbers = scope.fields.filter(({ type, kind }) => type === 'number' && kind === 'property').map(({ name }) => name);
  const measure = numbers.includes(view.measure) ? view.measure : numbers[0];
  const [condition, setCondition] = useCondition(view.where, (where) => setView({ where }));
  const from = view.from ?? daysBefore(today, 90);
  const to = view.to ?? today;
  const by = view.by ?? 'day';
  const body = { event, by, from, to, ...(measure && { measure }), ...(view.where && { event_where: view.where }) };
  const answer = useQuestion('series', from && to && from <= to ? body : null, { hasBase: false });
  const shows = view.shows ?? 'people';
  const kinds = [['people', 'people and events'], ...(measure ? [['sum', `total ${measure}`], ['average', `average ${measure}`]] : [])];
  return (
    <>
      <div class="controls">
        <Field label="Event"><Select label="event" value={event} options={people.events.map((name) => [name, name])} onChange={(next) => setView({ event: next, where: undefined, measure: undefined })} /></Field>
        {numbers.length > 1 && <Field label="Measure"><Select label="measure" value={measure} options={numbers.map((name) => [name, name])} onChange={(next) => setView({ measure: next })} /></Field>}
        <Field label="From"><input type="date" aria-label="from" value={from} onInput={(e) => setView({ from: e.target.value })} /></Field>
        <Field label="To"><input type="date" aria-label="to" value={to} onInput={(e) => setView({ to: e.target.value })} /></Field>
        <Segments label="by" value={by} options={[['day', 'day'], ['week', 'week'], ['month', 'month']]} onChange={(next) => setView({ by: next })} />
        <Segments label="what is shown" value={shows} options={kinds} onChange={(next) => setView({ shows: next })} />
      </div>
      <Condition key={event} label="where" node={condition} onChange={setCondition} scope={scope} />
      <Answer answer={answer} lines={10}>
        {({ rows }) => {
          if (!rows.length) return <p class="muted">No days.</p>;
          const column = (name) => rows.map((row) => row[name] ?? null);
          const series = shows === 'people' ? [{ name: 'people', values: column('people') }, { name: 'events', values: column('events') }]
            : [{ name: kinds.find(([key]) => key === shows)?.[1] ?? shows, values: column(shows) }];
          return <Lines days={rows.map(({ day }) => day)} series={series} />;
        }}
      </Answer>
    </>
  );
}

function daysBefore(day, n) {
  return new Date(Date.parse(`${day}T00:00:00Z`) - n * 86_400_000).toISOString().slice(0, 10);
}

function Funnel({ view, setView }) {
  const { people, openText } = usePage();
  const steps = view.steps ?? people.events.slice(0, 3).map((event) => ({ event }));
  const put = (next) => setView({ steps: next });
  const days = view.days === undefined ? 14 : view.days;
  const answer = useQuestion('funnel', steps.length ? { steps, ...(days && { within: { days } }) } : null);
  return (
    <div class="columns">
      <div class="funnel-steps">
        <ol>
          {steps.map((step, at) => (
            <Step key={at} step={step} at={at} onChange={(next) => put(steps.map((old, i) => (i === at ? next : old)))} onRemove={steps.length > 1 && (() => put(steps.filter((_, i) => i !== at)))} />
          ))}
        </ol>
        <button type="button" class="link" onClick={() => put([...steps, { event: people.events[0] }])}>then…</button>
        <Field label="All within days"><NumberInput min="1" label="within days" placeholder="any time" value={days} onChange={(n) => setView({ days: n === '' ? null : n })} /></Field>
      </div>
      <Answer answer={answer} lines={6}>
        {(data) => (
          <ol class="funnel">
            {data.steps.map((step, at) => (
              <li key={at}>
                <span class="funnel-bar"><span style={{ width: `${(100 * step.people) / (data.steps[0].people || 1)}%` }} /></span>
                <button type="button" class="value num" title="open these people" onClick={() => openText(step.where)}>{count(step.people)}</button>
                <span class="muted num">{percent(step.people / (data.steps[0].people || 1))}</span>
                {step.dropped > 0 && <button type="button" class="link" title="open those who got no further" onClick={() => openText(step.dropped_where)}>{count(step.dropped)} got no further</button>}
              </li>
            ))}
          </ol>
        )}
      </Answer>
    </div>
  );
}

function Step({ step, at, onChange, onRemove }) {
  const { people, schema } = usePage();
  const [condition, setCondition] = useCondition(step.where, (where) => onChange({ event: step.event, ...(where && { where }) }));
  return (
    <li>
      <Select className="field-name" label={`step ${at + 1}`} value={step.event} options={people.events.map((name) => [name, name])} onChange={(event) => onChange({ event })} />
      <Condition key={step.event} label="where" node={condition} onChange={setCondition} scope={eventScope(schema, step.event)} />
      {onRemove && <IconButton name="remove" label={`remove step ${at + 1}`} onClick={onRemove} />}
    </li>
  );
}

// Rules on what people did: how often, how much, first and last, and steps in order.

import { usePage } from '../context.js';
import { eventScope, measurable, measureOf, MEASURES, operatorKey, OPERATORS, resultType, withMeasure, withOperator } from '../fields.js';
import { IconButton } from '../parts/icons.jsx';
import { NumberInput, Select } from '../parts/select.jsx';
import { group as newGroup } from '../tree.js';
import { Condition } from './condition.jsx';
import { ValueOf } from './value.jsx';

export function EventRule({ rule, onChange }) {
  const { schema, people } = usePage();
  const scope = eventScope(schema, rule.field);
  const key = measureOf(rule);
  const condition = rule.match ? rule.value : rule.where;
  const put = (next) => onChange(rule.match ? { ...rule, value: next } : { ...rule, where: next });
  const events = people.events.map((name) => [name, name]);
  const changeEvent = (field) => {
    const { match, id, disabled } = rule;
    const bare = { id, disabled, field, operator: '=', match: match ?? { mode: 'some' }, value: newGroup() };
    onChange(match ? bare : withMeasure(bare, key, eventScope(schema, field)));
  };
  return (
    <>
      <Select className="field-name" label="event" value={rule.field} options={events} onChange={changeEvent} />
      <Select className="operator" label={`how ${rule.field} is asked`} value={key} options={MEASURES} onChange={(next) => onChange(withMeasure(rule, next, scope))} />
      {rule.match && 'threshold' in rule.match && (
        <NumberInput min="0" label="how many times" value={rule.match.threshold} onChange={(threshold) => onChange({ ...rule, match: { ...rule.match, threshold } })} />
      )}
      {rule.aggregate && <Aggregate rule={rule} onChange={onChange} scope={scope} />}
      <Condition label="where" node={condition} onChange={put} scope={scope} />
    </>
  );
}

function Aggregate({ rule, onChange, scope }) {
  const { people } = usePage();
  const { fn, of } = rule.aggregate;
  const type = resultType(rule, scope);
  const operators = OPERATORS[type === 'set' ? 'category' : type];
  const field = { name: of ?? rule.field, type, path: of && type !== 'number' ? `${rule.field}.${of}` : null, kind: 'result' };
  const changeOf = (name) => {
    const next = { ...rule, aggregate: { ...rule.aggregate, of: name } };
    onChange(resultType(next, scope) === type ? next : { ...withMeasure({ ...next }, fn, scope), aggregate: { fn, of: name }, ...fresh(resultType(next, scope)) });
  };
  return (
    <>
      {fn !== 'count' && <Select label="of which property" value={of} options={measurable(fn, scope).map(({ name }) => [name, name])} onChange={changeOf} />}
      <Select className="operator" label="compared how" value={operatorKey(rule, type)} options={operators} onChange={(key) => onChange(withOperator(rule, key, type))} />
      <ValueOf rule={rule} field={field} onChange={onChange} where={() => undefined} scope={people} />
    </>
  );
}

function fresh(type) {
  if (type === 'date') return { operator: '>=', value: { days_ago: 90 } };
  if (type === 'flag') return { operator: '=', value: true };
  return type === 'number' ? { operator: '>=', value: '' } : { operator: 'in', value: [] };
}

export function FollowedBy({ rule, onChange }) {
  const { schema, people } = usePage();
  const steps = rule.followed_by;
  const put = (next) => onChange({ ...rule, followed_by: next });
  const unit = rule.within?.weeks !== undefined ? 'weeks' : 'days';
  const events = people.events.map((name) => [name, name]);
  return (
    <span class="steps">
      <span class="muted">did, in this order</span>
      <ol>
        {steps.map((step, index) => (
          <li key={index}>
            <Select className="field-name" label={`step ${index + 1}`} value={step.event} options={events}
              onChange={(event) => put(steps.map((old, i) => (i === index ? { event } : old)))} />
            <Condition label="where" node={step.where} scope={eventScope(schema, step.event)}
              onChange={(where) => put(steps.map((old, i) => (i === index ? { ...old, where } : old)))} />
            {steps.length > 2 && <IconButton name="remove" label={`remove step ${index + 1}`} onClick={() => put(steps.filter((_, i) => i !== index))} />}
          </li>
        ))}
      </ol>
      <button type="button" class="link" onClick={() => put([...steps, { event: steps[steps.length - 1].event }])}>then…</button>
      <span class="pair">
        <span class="muted">all within</span>
        <NumberInput min="1" label="within" placeholder="any time" value={rule.within?.[unit] ?? ''} onChange={(n) => onChange({ ...rule, within: n === '' ? undefined : { [unit]: n } })} />
        <Select className="quiet-select" label="unit of the limit" value={unit} options={[['days', 'days'], ['weeks', 'weeks']]} onChange={(next) => onChange({ ...rule, within: { [next]: rule.within?.[unit] ?? 14 } })} />
      </span>
    </span>
  );
}

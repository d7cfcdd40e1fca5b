// The value of a rule: none, one, two or many; of a number, a date, a text; or a figure taken from people.

import { usePage } from '../context.js';
import { NumberInput, Select } from '../parts/select.jsx';
import { Values } from '../parts/values.jsx';
import { DateValue, MonthDay } from './date.jsx';
import { Condition } from './condition.jsx';

/** Operators whose value is a piece of text that stands for itself, or a pattern. */
const TEXTS = ['beginsWith', 'endsWith', 'contains', 'doesNotContain', 'doesNotBeginWith', 'doesNotEndWith', 'like', 'notLike', 'ilike', 'notIlike'];

export function ValueOf({ rule, field, onChange, where, scope }) {
  const { operator, value } = rule;
  const put = (next) => onChange({ ...rule, value: next });
  const label = `value of ${field.name}`;
  if (operator === 'null' || operator === 'notNull' || field.type === 'flag') return null;
  const one = (v, set, words) => <One rule={rule} field={field} value={v} onChange={set} label={words} scope={scope} />;
  if (['between', 'notBetween'].includes(operator)) {
    const [low, high] = Array.isArray(value) ? value : ['', ''];
    return (
      <span class="pair">
        {one(low, (v) => put([v, high]), `${label}, from`)}
        <span class="muted">and</span>
        {one(high, (v) => put([low, v]), `${label}, to`)}
      </span>
    );
  }
  if (['in', 'notIn', 'hasAll', 'hasNone'].includes(operator)) {
    return <Values field={field} value={value} onChange={put} where={where(rule.id)} label={label} />;
  }
  if (TEXTS.includes(operator)) {
    const hint = operator.endsWith('ike') ? '% any text, _ one letter' : 'text';
    return <input class="text" aria-label={label} placeholder={hint} value={value ?? ''} onInput={(event) => put(event.target.value)} />;
  }
  if (['category', 'set', 'id'].includes(field.type)) {
    return <Values field={field} value={value} onChange={put} isSingle where={where(rule.id)} label={label} />;
  }
  return one(value, put, label);
}

function One({ rule, field, value, onChange, label, scope }) {
  if (rule.part === 'month_day') return <MonthDay value={value} onChange={onChange} label={label} />;
  if (field.type === 'date' || field.type === 'timestamp') return <DateValue value={value} onChange={onChange} label={label} isMoment={field.type === 'timestamp'} />;
  return <Figure value={value} onChange={onChange} label={label} field={field} scope={scope} />;
}

const FIGURES = [
  ['value', 'the number'], ['quantile', 'quantile of'], ['avg', 'average of'], ['max', 'highest of'], ['min', 'lowest of'],
  ['sum', 'total of'], ['count', 'number of people'], ['count_distinct', 'different values of'],
];

/** A number; or, of people's tags, a figure over them. */
function Figure({ value, onChange, label, field, scope }) {
  const { people } = usePage();
  const isObject = value && typeof value === 'object';
  const kind = isObject && 'quantile' in value ? 'quantile' : isObject && 'aggregate' in value ? value.aggregate.fn : 'value';
  const canBe = field.kind === 'tag' || field.kind === 'result';
  const of = kind === 'quantile' ? value.of : value?.aggregate?.of;
  const change = (next) => {
    const target = of ?? (field.kind === 'tag' ? field.name : undefined);
    const condition = value?.where && { where: value.where };
    if (next === 'value') return onChange('');
    if (next === 'quantile') return onChange({ quantile: 0.8, of: target, ...condition });
    return onChange({ aggregate: next === 'count' ? { fn: next } : { fn: next, of: target }, ...condition });
  };
  const tags = people.fields.filter((one) => one.kind === 'tag' && (kind === 'count_distinct' || one.type === 'number'));
  const put = (name) => onChange(kind === 'quantile' ? { ...value, of: name } : { ...value, aggregate: { ...value.aggregate, of: name } });
  return (
    <span class="figure">
      {kind === 'value' && <NumberInput value={value} onChange={onChange} label={label} />}
      {canBe && scope.event === null && <Select className="quiet-select" label={`${label}: what it is`} value={kind} options={FIGURES} onChange={change} />}
      {kind === 'quantile' && <NumberInput value={value.quantile} onChange={(share) => onChange({ ...value, quantile: share })} label="share below, 0 to 1" placeholder="0.8" />}
      {kind !== 'value' && kind !== 'count' && <Select label="of which tag" value={of} options={tags.map((tag) => [tag.name, tag.name])} onChange={put} />}
      {kind !== 'value' && <Condition label="among" words="among everyone," opens="narrow…" node={value.where} scope={people} onChange={(where) => onChange({ ...value, where })} />}
    </span>
  );
}

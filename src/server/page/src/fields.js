// What can be asked of what: the fields of a scope (people, or one kind of event) and the operators of each type.

const KNOWN = [['null', 'is unknown'], ['notNull', 'is known']];
const TEXT = [
  ['beginsWith', 'begins with'], ['doesNotBeginWith', 'does not begin with'],
  ['contains', 'contains'], ['doesNotContain', 'does not contain'],
  ['endsWith', 'ends with'], ['doesNotEndWith', 'does not end with'],
  ['like', 'is like'], ['notLike', 'is not like'],
  ['ilike', 'is like, any case'], ['notIlike', 'is not like, any case'],
];
const ORDER = [
  ['>=', 'at least'], ['<=', 'at most'], ['between', 'between'], ['=', 'is exactly'], ['>', 'more than'], ['<', 'less than'],
  ['!=', 'is known, but not'], ['notBetween', 'is known, not between'], ['in', 'is one of'], ['notIn', 'is known, none of'],
];
const TIME = [
  ['>=', 'from'], ['<=', 'until'], ['between', 'between'], ['=', 'on'], ['>', 'after'], ['<', 'before'],
  ['!=', 'is known, but not on'], ['notBetween', 'is known, not between'],
];

/** Operators by type, the usual one first. */
export const OPERATORS = {
  flag: [['=true', 'is true'], ['=false', 'is false'], ...KNOWN],
  category: [['in', 'is any of'], ['notIn', 'is known, none of'], ['=', 'is'], ['!=', 'is known, but not'], ...KNOWN, ...TEXT],
  set: [['in', 'has any of'], ['hasAll', 'has all of'], ['hasNone', 'has none of'], ['=', 'has'], ['!=', 'is known, without'],
    ['notIn', 'is known, with none of'], ...KNOWN, ...TEXT],
  number: [...ORDER, ...KNOWN],
  date: [...TIME, ['month_day between', 'day of the year between'], ['month_day =', 'day of the year is'], ...KNOWN],
  timestamp: [...TIME, ...KNOWN],
  id: [['in', 'is any of'], ['notIn', 'is known, none of'], ['=', 'is'], ['!=', 'is known, but not'], ...KNOWN, ...TEXT],
  one_id: [['in', 'is any of'], ['notIn', 'is none of'], ['between', 'between'], ['<', 'less than'], ['>=', 'at least']],
  bucket: [['<', 'below'], ['>=', 'from'], ['between', 'between'], ['=', 'is'], ['in', 'is one of']],
};
// Aggregates of events hold a value against theirs; unknown there is "has none".
OPERATORS.result = { ...OPERATORS };

/** The key of an operator as the list has it. */
export function operatorKey(rule, type) {
  if (rule.part === 'month_day') return `month_day ${rule.operator}`;
  if (type === 'flag' && rule.operator === '=') return `=${rule.value}`;
  return rule.operator;
}

const LISTS = ['in', 'notIn', 'hasAll', 'hasNone'];
const PAIRS = ['between', 'notBetween'];
const shapeOf = (operator) =>
  LISTS.includes(operator) ? 'list' : PAIRS.includes(operator) ? 'pair' : ['null', 'notNull'].includes(operator) ? 'none' : 'one';

/** The rule with another operator, its value kept as far as it fits. */
export function withOperator(rule, key, type) {
  const { part: oldPart, escape: _, ...rest } = rule;
  const next = { ...rest };
  if (type === 'flag' && key.startsWith('=')) return { ...next, operator: '=', value: key === '=true' };
  let operator = key;
  if (key.startsWith('month_day ')) {
    operator = key.slice('month_day '.length);
    next.part = 'month_day';
  }
  const [from, to] = [shapeOf(rule.operator), shapeOf(operator)];
  next.operator = operator;
  if (next.part !== oldPart) next.value = to === 'pair' ? ['', ''] : '';
  else if (from !== to) next.value = reshaped(rule.value, from, to);
  if (to === 'none') delete next.value;
  return next;
}

function reshaped(value, from, to) {
  const first = from === 'one' ? value : Array.isArray(value) ? value[0] : undefined;
  if (to === 'list') {
    const plain = typeof first === 'object' ? undefined : first;
    return from === 'pair' ? value.filter((v) => typeof v !== 'object') : plain === undefined || plain === '' ? [] : [plain];
  }
  if (to === 'pair') return [first ?? '', from === 'list' && value.length > 1 ? value[1] : ''];
  return first ?? '';
}

/** Fields of people: tags, identities. */
export function peopleScope(schema) {
  const tags = Object.entries(schema.tags ?? {}).map(([name, tag]) => ({ name, path: name, type: tag.type, scale: tag.scale ?? 0, kind: 'tag' }));
  const ids = (schema.id_types ?? []).map((name) => ({ name, path: name, type: 'id', kind: 'id' }));
  const fields = [...tags, ...ids, { name: 'one_id', path: 'one_id', type: 'one_id', kind: 'id' }];
  return { event: null, fields, events: Object.keys(schema.events ?? {}) };
}

/** Fields of an event: its properties, its day and moment. */
export function eventScope(schema, event) {
  const properties = Object.entries(schema.events?.[event]?.properties ?? {});
  const fields = properties.map(([name, tag]) => ({ name, path: `${event}.${name}`, type: tag.type, scale: tag.scale ?? 0, kind: 'property' }));
  fields.push({ name: 'day', path: null, type: 'date', kind: 'time' }, { name: 'at', path: null, type: 'timestamp', kind: 'time' });
  return { event, fields, events: [] };
}

export const fieldOf = (scope, name) => scope.fields.find((field) => field.name === name);

/** A new rule on a field. */
export function newRule(field) {
  const [operator] = OPERATORS[field.type][0];
  const rule = { field: field.name };
  if (field.type === 'flag') return { ...rule, operator: '=', value: true };
  if (field.name === 'day') return { ...rule, operator: '>=', value: { days_ago: 30 } };
  if (field.type === 'date') return { ...rule, operator, value: { days_ago: 90 } };
  return { ...rule, operator, value: LISTS.includes(operator) ? [] : '' };
}

/** What events are asked for: [key, words, type of the result]. */
export const MEASURES = [
  ['some', 'at least once'], ['none', 'never'], ['atLeast', 'at least … times'], ['atMost', 'at most … times'], ['exactly', 'exactly … times'],
  ['all', 'only such'],
  ['count', 'number of times'], ['sum', 'total of'], ['avg', 'average of'], ['max', 'latest or highest'], ['min', 'earliest or lowest'],
  ['count_distinct', 'different values of'], ['first', 'first'], ['last', 'last'],
];
export const MODES = ['some', 'none', 'atLeast', 'atMost', 'exactly', 'all'];

export const measureOf = (rule) => (rule.match ? rule.match.mode : rule.aggregate.fn);

/** The type of an aggregate's result: what it is held against. */
export function resultType(rule, scope) {
  const { fn, of } = rule.aggregate;
  if (['count', 'sum', 'avg', 'count_distinct'].includes(fn)) return 'number';
  return fieldOf(scope, of)?.type ?? 'number';
}

/** What an aggregate can be of. */
export function measurable(fn, scope) {
  return scope.fields.filter(({ type, name }) => {
    if (fn === 'sum' || fn === 'avg') return type === 'number';
    if (fn === 'min' || fn === 'max') return type === 'number' || type === 'date' || name === 'day';
    return fn === 'count_distinct' ? name !== 'at' : name !== 'at' && name !== 'day';
  });
}

/** The rule asking its event another way; the condition stays. */
export function withMeasure(rule, key, scope) {
  const condition = rule.match ? rule.value : rule.where;
  const base = { id: rule.id, disabled: rule.disabled, field: rule.field };
  if (MODES.includes(key)) {
    const match = { mode: key };
    if (['atLeast', 'atMost', 'exactly'].includes(key)) match.threshold = rule.match?.threshold ?? 2;
    return { ...base, operator: '=', match, value: condition };
  }
  const of = measurable(key, scope)[0]?.name;
  const aggregate = key === 'count' ? { fn: key } : { fn: key, of };
  const next = { ...base, aggregate, where: condition };
  const type = resultType(next, scope);
  const fresh = newRule({ name: rule.field, type });
  return { ...next, operator: fresh.operator, value: type === 'number' && key === 'count' ? 2 : fresh.value };
}

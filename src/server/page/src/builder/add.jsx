// What can be added to a group: rules on tags, identities and events, rules of headcount's own, groups.

import { newRule } from '../fields.js';
import { Picker } from '../parts/picker.jsx';
import { freshId, group as newGroup } from '../tree.js';

const OWN = [
  ['in a saved audience', 'audience', () => ({ audience: '' })],
  ['in a frozen audience', 'snapshot', () => ({ snapshot: '', on: '' })],
  ['among the top N', 'rank', (scope) => ({ top: { by: scope.fields.find(({ type }) => type === 'number')?.name, order: 'desc', n: 1000 } })],
  ['did, in order', 'funnel', (scope) => ({ followed_by: [{ event: scope.events[0] }, { event: scope.events[0] }], within: { days: 14 } })],
  ['was, at an earlier state', 'time', () => ({ was: '', rule: newGroup() })],
  ['a stable random split', 'bucket', () => ({ bucket: { salt: 'split', of: 100 }, operator: '<', value: 50 })],
  ['in an uploaded bitmap', 'roaring', () => ({ bitmap: '' })],
];

function itemsOf(scope) {
  const made = (group, label, note, make) => ({ key: `${group} ${label}`, group, label, note, make });
  const fields = scope.fields.map((field) => made({ tag: 'Tags', id: 'Identities', property: `Of the ${scope.event}`, time: 'When' }[field.kind], field.name, field.type.replace('_', ' '), () => newRule(field)));
  if (scope.event) return fields;
  const events = scope.events.map((event) => made('What they did', event, 'event', () => ({ field: event, operator: '=', match: { mode: 'some' }, value: newGroup() })));
  const own = OWN.filter(([, kind]) => kind !== 'funnel' || scope.events.length).map(([label, note, make]) => made('More', label, note, () => make(scope)));
  const [tags, ids] = [fields.filter(({ group }) => group === 'Tags'), fields.filter(({ group }) => group === 'Identities')];
  return [...tags, ...events, ...ids, ...own];
}

export function AddRule({ scope, onAdd, isFirst }) {
  const add = (item) => onAdd({ ...item.make(), id: freshId() });
  return (
    <span class="add">
      <Picker items={itemsOf(scope)} label={isFirst ? 'Add the first rule' : 'rule'} icon="plus" className={isFirst ? 'is-first' : ''} placeholder="Tag, event, or more" onPick={add} />
      <button type="button" class="add-group" onClick={() => onAdd(newGroup([], 'or'))}>+ group</button>
    </span>
  );
}

// One rule on one line: what it is about, how it asks, its value; what it holds stands at the right.

import { usePage } from '../context.js';
import { fieldOf, newRule, OPERATORS, operatorKey, withOperator } from '../fields.js';
import { Picker } from '../parts/picker.jsx';
import { Select } from '../parts/select.jsx';
import { isComplete, isGroup } from '../tree.js';
import { EventRule, FollowedBy } from './event.jsx';
import { Actions, Tally } from './row.jsx';
import { OwnRule } from './own.jsx';
import { ValueOf } from './value.jsx';

export function Rule({ node, onChange, scope, where, actions }) {
  const { errorAt } = usePage();
  const isNot = isGroup(node) && !node.constant;
  const rule = isNot ? node.rules[0] : node;
  const changed = (next) => onChange(isNot ? { ...node, rules: [next] } : next);
  const error = errorAt(rule.id);
  const waits = !node.constant && !isComplete(rule);
  return (
    <div class={`row rule ${node.disabled ? 'is-disabled' : ''} ${error ? 'has-error' : ''} ${waits ? 'is-waiting' : ''}`} id={node.id} tabIndex={-1}>
      <div class="rule-body">
        {isNot && <span class="not">not</span>}
        {node.constant ? <span class="constant">{node.not ? 'nobody' : 'everyone'}</span> : <Body rule={rule} onChange={changed} scope={scope} where={where} />}
        {error && <p class="rule-error" role="alert">{error.message}{error.hint ? ` ${error.hint}` : ''}</p>}
      </div>
      <Actions actions={actions} isNegated={isNot || (node.constant && node.not)} kind="rule" />
      {waits ? <span class="tally waits muted">not filled in yet</span> : <Tally node={node} />}
    </div>
  );
}

function Body({ rule, onChange, scope, where }) {
  if (rule.followed_by) return <FollowedBy rule={rule} onChange={onChange} />;
  if (rule.match || rule.aggregate) return <EventRule rule={rule} onChange={onChange} />;
  if (rule.field !== undefined) return <FieldRule rule={rule} onChange={onChange} scope={scope} where={where} />;
  return <OwnRule rule={rule} onChange={onChange} scope={scope} where={where} />;
}

function FieldRule({ rule, onChange, scope, where }) {
  const field = fieldOf(scope, rule.field) ?? { name: rule.field, type: 'category', path: null };
  const type = OPERATORS[field.type] ? field.type : 'category';
  const items = scope.fields.map((one) => ({ key: one.name, label: one.name, group: groupOf(one), note: one.type, field: one }));
  const picked = ({ field: next }) => {
    const keeps = next.type === field.type && ['number', 'date'].includes(next.type);
    onChange(keeps ? { ...rule, field: next.name } : { ...newRule(next), id: rule.id });
  };
  const options = operatorsOf(type, operatorKey(rule, type));
  return (
    <>
      <Picker items={items} value={rule.field} label="tag" className="field-name" onPick={picked} />
      <Select className="operator" label={`how ${rule.field} is asked`} value={operatorKey(rule, type)} options={options} onChange={(key) => onChange(withOperator(rule, key, type))} />
      <ValueOf rule={rule} field={field} onChange={onChange} where={where} scope={scope} />
    </>
  );
}

const groupOf = (field) => ({ tag: 'Tags', id: 'Identities', property: 'Of the event', time: 'When' })[field.kind];

/** The usual operators, and the one that the rule has in any case. */
function operatorsOf(type, key) {
  const options = OPERATORS[type];
  return options.some(([known]) => known === key) ? options : [...options, [key, key]];
}

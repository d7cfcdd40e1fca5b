// A group of rules: AND or OR, perhaps NOT, rules and groups inside, to any depth.
// It changes itself and its children; what leaves it upward goes through `onEject`.

import { usePage } from '../context.js';
import { copied, group as newGroup, isGroup } from '../tree.js';
import { AddRule } from './add.jsx';
import { Actions, Tally } from './row.jsx';
import { Rule } from './rule.jsx';

/** NOT around a single rule reads as one line. */
const isNegatedRule = (node) => isGroup(node) && node.not && node.rules.length === 1 && !isGroup(node.rules[0]) && !node.rules[0].disabled;

export function Group({ group, onChange, scope, where, isRoot = false, onEject, actions = null, label }) {
  const { focusSoon } = usePage();
  const { rules } = group;
  const put = (next) => onChange({ ...group, rules: next, constant: undefined });
  const replace = (index, node) => put(rules.map((rule, i) => (i === index ? node : rule)));
  const move = (index, step) => {
    const [to, node] = [index + step, rules[index]];
    focusSoon(node.id);
    if (to < 0 || to >= rules.length) return onEject?.(index, step);
    const next = rules.filter((_, i) => i !== index);
    const neighbour = rules[to];
    if (isGroup(neighbour) && !neighbour.constant && !isNegatedRule(neighbour)) {
      const inside = step > 0 ? [node, ...neighbour.rules] : [...neighbour.rules, node];
      next[step > 0 ? index : to] = { ...neighbour, rules: inside };
    } else next.splice(to, 0, node);
    return put(next);
  };
  const eject = (child, at) => (index, step) => {
    const leaving = child.rules[index];
    const rest = { ...child, rules: child.rules.filter((_, i) => i !== index) };
    const around = rest.rules.length ? (step < 0 ? [leaving, rest] : [rest, leaving]) : [leaving];
    put([...rules.slice(0, at), ...around, ...rules.slice(at + 1)]);
  };
  const actionsOf = (node, index) => ({
    node,
    remove: () => put(rules.filter((_, i) => i !== index)),
    duplicate: () => put([...rules.slice(0, index + 1), copied(node), ...rules.slice(index + 1)]),
    disable: () => replace(index, { ...node, disabled: node.disabled ? undefined : true }),
    negate: () => replace(index, negated(node)),
    wrap: () => replace(index, newGroup([node], group.combinator === 'and' ? 'or' : 'and')),
    up: () => move(index, -1),
    down: () => move(index, 1),
    isFirst: index === 0 && !onEject,
    isLast: index === rules.length - 1 && !onEject,
  });
  const add = (node) => {
    focusSoon(node.id);
    put([...rules, node]);
  };
  return (
    <div class={`group ${group.combinator} ${group.not ? 'is-not' : ''} ${isRoot ? 'is-root' : ''} ${group.disabled ? 'is-disabled' : ''}`} role="group" aria-label={label ?? `${group.not ? 'none of: ' : ''}${group.combinator === 'and' ? 'all' : 'any'} of these`}>
      {!isRoot && actions && <Head group={group} actions={actions} onChange={onChange} />}
      {rules.map((node, index) => (
        <div class="branch" key={node.id}>
          <Joint index={index} group={group} onChange={onChange} />
          {isGroup(node) && !isNegatedRule(node) && !node.constant ? (
            <Group group={node} onChange={(next) => replace(index, next)} scope={scope} where={where} onEject={eject(node, index)} actions={actionsOf(node, index)} />
          ) : (
            <Rule node={node} onChange={(next) => replace(index, next)} scope={scope} where={where} actions={actionsOf(node, index)} />
          )}
        </div>
      ))}
      <div class="branch add-branch">
        <AddRule scope={scope} onAdd={add} isFirst={!rules.length && isRoot} />
      </div>
    </div>
  );
}

/** NOT put on or taken off. */
function negated(node) {
  if (!isGroup(node)) return newGroup([node], 'and', true);
  if (node.constant) return { ...node, not: !node.not };
  if (isNegatedRule(node)) return node.disabled ? { ...node.rules[0], disabled: true } : node.rules[0];
  return { ...node, not: !node.not };
}

/** Between two rules: a press makes all ANDs of the group ORs, and back. */
function Joint({ index, group, onChange }) {
  if (index === 0) return <span class="joint is-first" aria-hidden="true" />;
  const other = group.combinator === 'and' ? 'or' : 'and';
  return (
    <button type="button" class="joint" title={`make it ${other.toUpperCase()}`} aria-label={`${group.combinator}; press for ${other}`} onClick={() => onChange({ ...group, combinator: other })}>
      {group.combinator}
    </button>
  );
}

function Head({ group, actions, onChange }) {
  const any = group.combinator === 'and' ? 'all of' : 'any of';
  return (
    <div class="row group-head" id={group.id} tabIndex={-1} onKeyDown={actions.onKey}>
      <span class="group-words">
        {group.not && <span class="not">not</span>}
        <button type="button" class="quiet" onClick={() => onChange({ ...group, combinator: group.combinator === 'and' ? 'or' : 'and' })}>{any}</button>
      </span>
      <Actions actions={actions} isNegated={group.not} kind="group" />
      <Tally node={group} />
    </div>
  );
}

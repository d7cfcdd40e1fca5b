// Rule trees as the page works on them: the server's shape, with an `id` on every group and rule.
// `pruned` makes of one what is sent: without what is disabled or not yet filled in, and where each place came from.

let last = 0;
export const freshId = () => `n${++last}`;

export const isGroup = (node) => Array.isArray(node.rules);
export const group = (rules = [], combinator = 'and', not = false) => ({ id: freshId(), combinator, not, rules });

/** Where a rule holds groups of its own: conditions on events, on who is ranked, on an earlier state. */
function inner(rule, visit) {
  const next = { ...rule };
  const at = (holder, key) => {
    if (holder[key] && typeof holder[key] === 'object') holder[key] = visit(holder[key]);
  };
  if (next.match) at(next, 'value');
  at(next, 'where');
  at(next, 'rule');
  at(next, 'among');
  if (next.followed_by) {
    next.followed_by = next.followed_by.map((step) => {
      const copy = { ...step };
      at(copy, 'where');
      return copy;
    });
  }
  if (next.top) {
    next.top = { ...next.top };
    at(next.top, 'where');
  }
  const scalar = (value) => {
    if (!value || typeof value !== 'object' || !value.where) return value;
    return { ...value, where: visit(value.where) };
  };
  if (!next.match) next.value = Array.isArray(next.value) ? next.value.map(scalar) : scalar(next.value);
  if (next.value === undefined) delete next.value;
  return next;
}

/** A tree of the server's, with ids. An empty group means everyone (or nobody), and stays. */
export function withIds(node) {
  if (isGroup(node)) {
    const made = { id: freshId(), combinator: node.combinator, not: !!node.not, rules: node.rules.map(withIds) };
    if (node.disabled) made.disabled = true;
    return node.rules.length ? made : { ...made, constant: true };
  }
  return { ...inner(node, asGroup), id: freshId() };
}

/** Conditions inside rules are groups, always. */
function asGroup(node) {
  if (!isGroup(node)) return group([withIds(node)]);
  return { ...withIds(node), constant: undefined };
}

/** The tree of a whole question: a group at its root. */
export function rootOf(tree) {
  const root = isGroup(tree) ? withIds(tree) : group([withIds(tree)]);
  if (!root.rules.length && !root.not) delete root.constant;
  return root;
}

const given = (value) => {
  if (value === undefined || value === null || value === '') return false;
  if (typeof value !== 'object') return typeof value !== 'number' || Number.isFinite(value);
  if ('quantile' in value) return given(value.quantile) && given(value.of);
  if ('aggregate' in value) return value.aggregate.fn === 'count' || given(value.aggregate.of);
  if ('current_date' in value) return Array.isArray(value.current_date);
  return Object.values(value).every((part) => given(part));
};

/** Whether a rule says enough to be asked. */
export function isComplete(rule) {
  if (rule.unread !== undefined) return false;
  if ('audience' in rule) return given(rule.audience);
  if ('snapshot' in rule) return given(rule.snapshot) && given(rule.on);
  if ('bitmap' in rule) return given(rule.bitmap);
  if ('was' in rule) return given(rule.was);
  if ('followed_by' in rule) return rule.followed_by.length > 1 && rule.followed_by.every((step) => given(step.event));
  if ('top' in rule) return given(rule.top.by) && given(rule.top.n);
  if ('among' in rule) return true;
  if ('match' in rule) return given(rule.field) && (!('threshold' in rule.match) || given(rule.match.threshold));
  if (rule.aggregate && rule.aggregate.fn !== 'count' && !given(rule.aggregate.of)) return false;
  if (rule.bucket && !(given(rule.bucket.salt) && given(rule.bucket.of))) return false;
  switch (rule.operator) {
    case 'null':
    case 'notNull':
      return true;
    case 'in':
    case 'notIn':
    case 'hasAll':
    case 'hasNone':
      return Array.isArray(rule.value) && rule.value.length > 0;
    case 'between':
    case 'notBetween':
      return Array.isArray(rule.value) && rule.value.length === 2 && rule.value.every(given);
    default:
      return given(rule.value);
  }
}

/**
 * What is sent of a tree. `leaves` are the ids of its rules in order, as the server's breakdown has them;
 * `places` leads from JSON Pointers of what was sent back to ids; `waiting` counts rules that are not filled in.
 */
export function pruned(root) {
  const leaves = [];
  const places = new Map();
  let waiting = 0;
  const cleanInner = (node, pointer, isTop) => {
    const rules = [];
    for (const child of node.rules) {
      if (child.disabled) continue;
      const at = `${pointer}/rules/${rules.length}`;
      if (isGroup(child)) {
        if (child.constant) {
          rules.push({ combinator: 'and', rules: [], ...(child.not && { not: true }) });
          continue;
        }
        const clean = cleanInner(child, at, isTop);
        if (clean.rules.length) {
          places.set(at, child.id);
          rules.push(clean);
        }
      } else if (isComplete(child)) {
        places.set(at, child.id);
        if (isTop) leaves.push(child.id);
        rules.push(cleanRule(child, at));
      } else {
        waiting++;
      }
    }
    const clean = { combinator: node.combinator, rules };
    if (node.not && (rules.length || node.constant)) clean.not = true;
    return clean;
  };
  const cleanRule = (rule, at) => {
    const { id: _, disabled: __, ...rest } = inner(rule, (node) => cleanInner(node, `${at}/…`, false));
    return rest;
  };
  const where = cleanInner(root, '', true);
  return { where, leaves, places, waiting };
}

/** Who asks for nobody in particular asks for everyone. */
export const isEveryone = (where) => where.rules.length === 0 && !where.not;

/** All groups below the root, with those that are disabled left out. */
export function groupsOf(node, into = []) {
  for (const child of node.rules) {
    if (child.disabled || !isGroup(child) || child.constant) continue;
    into.push(child);
    groupsOf(child, into);
  }
  return into;
}

/** The tree with the node of an id changed, or gone where `change` gives null. */
export function changed(node, id, change) {
  if (node.id === id) return change(node);
  if (!isGroup(node)) return node;
  const rules = node.rules.map((child) => changed(child, id, change)).filter((child) => child !== null);
  return { ...node, rules };
}

/** A copy with ids of its own. */
export function copied(node) {
  if (isGroup(node)) return { ...node, id: freshId(), rules: node.rules.map(copied) };
  return { ...inner(node, copied), id: freshId() };
}

export const hasDisabled = (node) => !!node.disabled || (isGroup(node) && node.rules.some(hasDisabled));

/** The tree as JSON for people and for links: what is disabled stays, ids do not. */
export function bare(node) {
  const { id: _, constant: __, ...rest } = node;
  if (isGroup(node)) {
    const made = { combinator: node.combinator, rules: node.rules.map(bare) };
    if (node.not) made.not = true;
    if (node.disabled) made.disabled = true;
    return made;
  }
  return inner(rest, bare);
}

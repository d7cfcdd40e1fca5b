// Live counts: of the whole question, of every rule, of every group; each alone, and the whole without it.

import { useRef } from 'preact/hooks';
import { inTurn, useAnswer } from './hooks.js';
import { changed, groupsOf, pruned } from './tree.js';

/** Groups that are counted, two questions each. */
const GROUPS_MAX = 40;
const AT_ONCE = 3;

/** `counts` for the page: the total, and what each id holds. */
export function useCounts({ api, tree, sent, asked, version }) {
  const key = api ? JSON.stringify([api.root, sent.where, asked, version]) : null;
  const whole = useAnswer(key, (signal) => api.question('count', { where: sent.where, breakdown: sent.leaves.length > 0, ...asked }, signal));
  const groups = groupsOf(tree).slice(0, GROUPS_MAX).filter((group) => pruned(group).where.rules.length > 0);
  const groupKey = key && groups.length && !whole.error ? key + groups.map(({ id }) => id).join() : null;
  const parts = useAnswer(groupKey, (signal) => inTurn(groups, AT_ONCE, (group) => countGroup(api, tree, group, asked, signal)), 250);
  const { data } = whole;
  // The answer may still be that of the question before: then its clauses are not these, and what was known stays.
  const known = useRef({ leaves: [], groups: [] });
  if (whole.key === key) {
    if (data?.clauses?.length === sent.leaves.length) known.current.leaves = sent.leaves.map((id, at) => [id, data.clauses[at]]);
    if (parts.key === groupKey) known.current.groups = (parts.data ?? []).map((part) => [part.id, part]);
  }
  const own = new Map([...known.current.leaves, ...known.current.groups]);
  const shown = new Set([...sent.leaves, ...groups.map(({ id }) => id)]);
  return {
    total: data ? data.count : null,
    base: data?.base_count ?? null,
    share: data?.share ?? null,
    took_us: data?.took_us,
    data_version: data?.data_version,
    warnings: data?.warnings,
    busy: whole.busy,
    error: whole.error,
    retry: whole.retry,
    of: (id) => own.get(id),
    isShown: (id) => shown.has(id),
  };
}

async function countGroup(api, tree, group, asked, signal) {
  const alone = api.question('count', { where: pruned(group).where, ...asked }, signal);
  const rest = pruned(changed(tree, group.id, () => null)).where;
  const without = api.question('count', { where: rest, ...asked }, signal);
  return { id: group.id, count: (await alone).count, without: (await without).count };
}

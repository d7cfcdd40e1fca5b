// What all tabs ask with: the question as it stands, and a key that changes when the answer could.

import { usePage } from '../context.js';
import { useAnswer } from '../hooks.js';

/** `useQuestion('crosstab', {rows, columns})`; null as `more` asks nothing. `base` only where the call takes one. */
export function useQuestion(name, more, { hasBase = true } = {}) {
  const { api, sent, asked, unbased, version, counts } = usePage();
  const body = more && { where: sent.where, ...(hasBase ? asked : unbased), ...more };
  const key = body && !counts.error ? JSON.stringify([name, body, version]) : null;
  return useAnswer(key, (signal) => api.question(name, body, signal), 200);
}

/** Text that means one of several values of a tag. */
export function ruleFor(tag, type, value) {
  if (value === null) return { field: tag, operator: 'null' };
  if (type === 'flag') return { field: tag, operator: '=', value };
  if (type === 'number') return { field: tag, operator: '=', value };
  return { field: tag, operator: 'in', value: [value] };
}

/** 120 and more is much, 83 and less is little. */
export const indexClass = (index) => (index === null || index === undefined ? '' : index >= 120 ? 'is-high' : index <= 83 ? 'is-low' : '');

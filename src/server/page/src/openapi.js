// Reads an OpenAPI document: references, operations in reading order, and an example of each body.

export function resolved(document, value) {
  let at = value;
  for (let hops = 0; at?.$ref && hops < 8; hops++) {
    at = at.$ref.slice(2).split('/').reduce((node, key) => node?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);
  }
  return at;
}

export function operationsOf(document) {
  const found = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (method === 'parameters') continue;
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolved(document, one));
      const short = path.replace('/v1/spaces/{space}/', '…/').replace('/v1/', '');
      found.push({ id: operation.operationId, method, path, short, operation, parameters });
    }
  }
  const order = document.tags?.map(({ name }) => name) ?? [];
  const place = ({ operation }) => (order.indexOf(operation.tags?.[0]) + order.length + 1) % (order.length + 1);
  return found.sort((a, b) => place(a) - place(b));
}

/** Bodies that say more than their schema does. */
const KNOWN = {
  put_space: { id_types: ['member', 'phone'], tags: { city: { type: 'category' }, age: { type: 'number' } }, events: { purchase: { properties: { amount: { type: 'number', scale: 2 } } } } },
  count: { where: "age >= 30 AND city IN ('Shanghai', 'Hangzhou')", breakdown: true },
  distribution: { tags: ['city', 'age'], where: "gender = 'F'", top: 10 },
  crosstab: { rows: 'tier', columns: 'gender', where: 'age >= 30' },
  differences: { where: "tier = 'V5'", top: 10 },
  overlap: { audiences: ["tier = 'V5'", 'age >= 60', "interests = 'tea'"] },
  funnel: { steps: [{ event: 'visit' }, { event: 'cart' }, { event: 'purchase', where: 'amount > 100' }], within: { days: 3 } },
  flow: { tag: 'tier', from: '2026-10-31' },
  series: { event: 'purchase', measure: 'amount', by: 'week', where: "tier = 'V5'" },
  members: { where: "tier = 'V5'", columns: ['member', 'city', 'spend'], limit: 3 },
  plan: { where: "gender = 'F' AND age < 30" },
  explain: { where: "gender = 'F' AND age < 30", id: { member: 'M0000001' } },
  query: { sql: 'SELECT city, count(*) FROM profiles GROUP BY city ORDER BY 2 DESC LIMIT 5' },
  put_audience: { where: "tier IN ('V4', 'V5')", description: 'our best', labels: ['loyalty'] },
  take_snapshot: { name: 'before campaign' },
};

/** `{type, text}` of a body to send; empty where there is none. */
export function exampleOf(id, operation, document) {
  const [type, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  if (!type || content.schema?.format === 'binary') return { type, text: '' };
  const value = KNOWN[id] ?? sample(document, content.schema, 0);
  return { type, text: JSON.stringify(value, null, type.endsWith('ndjson') ? 0 : 2) };
}

function sample(document, schema, depth) {
  const node = resolved(document, schema) ?? {};
  if (node.examples?.length) return node.examples[0];
  if (node.const !== undefined) return node.const;
  if (node.enum) return node.enum[0];
  if (node.oneOf) return sample(document, node.oneOf[0], depth);
  const type = Array.isArray(node.type) ? node.type[0] : node.type;
  if (type === 'object') {
    const wanted = depth > 3 ? [] : (node.required ?? Object.keys(node.properties ?? {}));
    return Object.fromEntries(wanted.filter((key) => node.properties?.[key]).map((key) => [key, sample(document, node.properties[key], depth + 1)]));
  }
  if (type === 'array') return [sample(document, node.items, depth + 1)];
  if (type === 'integer' || type === 'number') return node.default ?? node.minimum ?? 1;
  if (type === 'boolean') return node.default ?? true;
  return node.format === 'date' ? '2026-11-01' : node.format === 'date-time' ? '2026-11-01T10:30:00+08:00' : 'text';
}

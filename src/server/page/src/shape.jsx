// A schema as a list of its members, opened as far as one looks.

import { resolved } from './openapi.js';

/** Text with `code` in it. */
export function Prose({ text }) {
  return text.split('`').map((part, at) => (at % 2 ? <code key={at}>{part}</code> : part));
}

export function Shape({ schema, document }) {
  return <div class="shape"><Node schema={schema} document={document} depth={0} /></div>;
}

function Node({ schema, document, depth }) {
  const node = resolved(document, schema) ?? {};
  const members = Object.entries(node.properties ?? {});
  const rest = typeof node.additionalProperties === 'object' ? [['…', node.additionalProperties]] : [];
  if (!members.length && !rest.length) {
    if (node.items && hasMembers(node.items, document)) return <Node schema={node.items} document={document} depth={depth} />;
    return <span><span class="kind">{kindOf(node, document)}</span> <What node={node} /></span>;
  }
  return <ul>{[...members, ...rest].map(([name, member]) => <Member key={name} name={name} schema={member} isRequired={node.required?.includes(name)} document={document} depth={depth} />)}</ul>;
}

function Member({ name, schema, isRequired, document, depth }) {
  const node = resolved(document, schema) ?? {};
  const head = <><b>{name}</b>{isRequired ? '' : '?'} <span class="kind">{kindOf(node, document)}</span> <What node={{ ...node, description: schema.description ?? node.description }} /></>;
  if (!hasMembers(schema, document) || depth > 6) return <li>{head}</li>;
  return <li><details open={depth < 1}><summary>{head}</summary><Node schema={schema} document={document} depth={depth + 1} /></details></li>;
}

function What({ node }) {
  const parts = [node.description, node.default === undefined ? '' : `${JSON.stringify(node.default)} unless said`].filter(Boolean);
  return <span class="what"><Prose text={parts.join('; ')} /></span>;
}

function hasMembers(schema, document) {
  const node = resolved(document, schema) ?? {};
  if (node.items) return hasMembers(node.items, document);
  return !!node.properties || typeof node.additionalProperties === 'object';
}

function kindOf(schema, document) {
  const node = resolved(document, schema) ?? {};
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (node.oneOf) return node.oneOf.map((one) => kindOf(one, document)).join(' | ');
  const types = [node.type ?? 'any'].flat();
  return types.map((type) => (type === 'array' ? `array of ${kindOf(node.items ?? {}, document)}` : node.format && type === 'string' ? node.format : type)).join(' | ');
}

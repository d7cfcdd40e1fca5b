// The reference: every call of /openapi.json with its shapes, an example, and a way to try it.

import { useMemo, useState } from 'preact/hooks';
import { ask, send, token } from './api.js';
import { exampleOf, operationsOf, resolved } from './openapi.js';
import { useAnswer } from './hooks.js';
import { Problem } from './parts/problem.jsx';
import { Prose, Shape } from './shape.jsx';

export function Docs() {
  const answer = useAnswer('openapi', (signal) => ask('/openapi.json', { signal }), 0);
  const [text, setText] = useState('');
  return (
    <>
      <header class="top">
        <a class="brand" href="/"><img src="/page/icon.svg" alt="" width="22" height="22" />headcount</a>
        <span class="muted">API reference</span>
        <nav><a href="/">Page</a><a href="/openapi.json">openapi.json</a></nav>
      </header>
      {answer.error && <main class="alone"><Problem error={answer.error} /></main>}
      {answer.data && <Reference document={answer.data} text={text} setText={setText} />}
    </>
  );
}

function Reference({ document, text, setText }) {
  const operations = useMemo(() => operationsOf(document), [document]);
  const wanted = text.trim().toLowerCase();
  const found = operations.filter(({ path, method, operation }) => `${method} ${path} ${operation.summary} ${operation.description ?? ''}`.toLowerCase().includes(wanted));
  const tags = [...new Set(found.map(({ operation }) => operation.tags?.[0] ?? 'other'))];
  const inTag = (tag) => found.filter(({ operation }) => (operation.tags?.[0] ?? 'other') === tag);
  return (
    <div class="docs">
      <nav aria-label="calls">
        <input type="search" aria-label="find a call" placeholder="Find" value={text} onInput={(event) => setText(event.target.value)} />
        {tags.map((tag) => (
          <div key={tag}>
            <h2>{tag}</h2>
            <ul>{inTag(tag).map(({ id, method, short }) => <li key={id}><a href={`#${id}`}><span class={`method method-${method}`}>{method.toUpperCase()}</span><span>{short}</span></a></li>)}</ul>
          </div>
        ))}
      </nav>
      <main>
        <section class="intro">
          <h1>{document.info.title} {document.info.version}</h1>
          <p><Prose text={document.info.description} /></p>
          <p class="muted">A refusal is <code>{'{"error": {"code", "message", "at"?, "hint"?}}'}</code>: <code>code</code> is stable and for programs, <code>at</code> names the place, in text as line, column and length, in a tree as a JSON Pointer.</p>
        </section>
        {tags.map((tag) => inTag(tag).map((one) => <Call key={one.id} {...one} document={document} />))}
      </main>
    </div>
  );
}

function Call({ id, method, path, operation, parameters, document }) {
  const bodies = Object.entries(operation.requestBody?.content ?? {});
  const ok = resolved(document, operation.responses['200'] ?? Object.values(operation.responses)[0]);
  const refusals = Object.keys(operation.responses).filter((status) => status >= '400');
  return (
    <article class="call" id={id}>
      <h3>{operation.summary}</h3>
      <div class="path"><span class={`method method-${method}`}>{method.toUpperCase()}</span>{path}</div>
      {operation.description && <p><Prose text={operation.description} /></p>}
      {operation['x-role'] && <p class="muted">Needs the role <code>{operation['x-role']}</code> where tokens are configured.</p>}
      <div class="call-columns">
        <div>
          {parameters.length > 0 && (
            <>
              <h4>Parameters</h4>
              <table class="codes"><tbody>{parameters.map((one) => <tr key={one.name}><td><code>{one.name}</code></td><td class="muted">{one.in}</td><td><Prose text={one.description ?? ''} /> {one.schema?.enum && <span class="muted">{one.schema.enum.join(' · ')}</span>}</td></tr>)}</tbody></table>
            </>
          )}
          {bodies.map(([type, { schema }]) => <div key={type}><h4>Body, {type}</h4><Shape schema={schema} document={document} /></div>)}
          <Example id={id} method={method} path={path} operation={operation} document={document} />
        </div>
        <div>
          {Object.entries(ok?.content ?? {}).map(([type, { schema }]) => <div key={type}><h4>Answer, {type}</h4>{schema && <Shape schema={schema} document={document} />}</div>)}
          {refusals.length > 0 && <><h4>Refusals</h4><table class="codes"><tbody>{refusals.map((status) => <tr key={status}><td class="num">{status}</td><td class="muted"><Prose text={resolved(document, operation.responses[status])?.description ?? ''} /></td></tr>)}</tbody></table></>}
        </div>
      </div>
    </article>
  );
}

/** What to send, as curl; and for questions a place to send it from. */
function Example({ id, method, path, operation, document }) {
  const example = useMemo(() => exampleOf(id, operation, document), [id]);
  const url = path.replace('{space}', 'main').replace('{id_type}', 'member').replace('{id}', 'M0000001').replace('{name}', 'vip').replace('{tag}', 'city').replace('{value}', 'Shanghai').replace('{file}', 'page.js');
  const [body, setBody] = useState(example.text);
  const [answer, setAnswer] = useState(null);
  const isQuestion = method === 'get' || (method === 'post' && operation['x-role'] === 'read');
  const flags = [method === 'get' ? '' : `-X ${method.toUpperCase()} `, body ? `-H 'content-type: ${example.type}' -d '${body.replaceAll("'", `'\\''`)}'` : ''];
  const curl = `curl -s ${flags[0]}${token.get() ? "-H 'authorization: Bearer …' " : ''}${location.origin}${url} ${flags[1]}`.trim();
  const run = async () => {
    setAnswer('…');
    try {
      const response = await send(url, { method: method.toUpperCase(), body: body ? JSON.parse(body) : undefined, accept: Object.keys(resolved(document, operation.responses['200'])?.content ?? {})[0] });
      const text = await response.text();
      setAnswer(text.length > 20_000 ? `${text.slice(0, 20_000)}…` : tidy(text));
    } catch (problem) {
      setAnswer(problem.message);
    }
  };
  return (
    <div class="try">
      <h4>Example</h4>
      <pre class="code">{curl}</pre>
      {isQuestion && (
        <details>
          <summary class="muted">Try it here</summary>
          {body !== '' && <textarea aria-label="body" rows={Math.min(14, body.split('\n').length + 1)} value={body} spellcheck={false} onInput={(event) => setBody(event.target.value)} />}
          <div class="dialog-buttons"><button type="button" class="primary" onClick={run}>Send</button></div>
          {answer && <pre class="code">{answer}</pre>}
        </details>
      )}
    </div>
  );
}

function tidy(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

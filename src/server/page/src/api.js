// Asks the server: one place that knows URLs, tokens and the shape of errors.

const TOKEN = 'headcount token';

/** What the server refused, or that it could not be reached. */
export class Failure extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.at = error.at;
    this.hint = error.hint;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? '',
  set: (text) => (text ? sessionStorage.setItem(TOKEN, text) : sessionStorage.removeItem(TOKEN)),
};

let onUnauthorized = () => {};
/** Who is told that the server wants a token. */
export function whenUnauthorized(tell) {
  onUnauthorized = tell;
}

/** The response as it comes; a refusal becomes a `Failure`. */
export async function send(path, { method = 'GET', body, accept = 'application/json', signal } = {}) {
  const headers = { accept };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (problem) {
    if (problem.name === 'AbortError') throw problem;
    throw new Failure(0, { code: 'unreachable', message: 'the server cannot be reached' });
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const error = told?.error ?? { code: 'failed', message: `the server answered ${response.status}` };
  if (response.status === 401) onUnauthorized();
  throw new Failure(response.status, error);
}

export async function ask(path, options) {
  return (await send(path, options)).json();
}

/** The calls of one space. */
export function spaceApi(space) {
  const root = `/v1/spaces/${encodeURIComponent(space)}`;
  const part = (...parts) => [root, ...parts.map(encodeURIComponent)].join('/');
  return {
    root,
    describe: (signal) => ask(root, { signal }),
    question: (name, body, signal) => ask(`${root}/${name}`, { method: 'POST', body, signal }),
    stream: (body, accept, signal) => send(`${root}/members`, { method: 'POST', body, accept, signal }),
    portrait: (type, id, signal) => ask(part('profiles', type, id), { signal }),
    snapshots: (signal) => ask(part('snapshots'), { signal }),
    audiences: (signal) => ask(part('audiences'), { signal }),
    audience: (name, signal) => ask(part('audiences', name), { signal }),
    save: (name, body) => ask(part('audiences', name), { method: 'PUT', body }),
    remove: (name) => ask(part('audiences', name), { method: 'DELETE' }),
    get: (parts, signal) => ask(part(...parts), { signal }),
    post: (parts, body, signal) => ask(part(...parts), { method: 'POST', body, signal }),
  };
}

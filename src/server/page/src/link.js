// The address: everything a question needs stands behind the `#`, so that it can be sent to somebody.

/** Longer questions (pasted lists) do not fit an address. */
const LONGEST = 60_000;

export function read(hash = location.hash) {
  const [space, query = ''] = hash.replace(/^#\/?/, '').split('?');
  const values = new URLSearchParams(query);
  const json = (text) => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  const where = values.get('where') ?? '';
  return {
    space: decodeURIComponent(space) || null,
    where: where.startsWith('{') ? (json(where) ?? '') : where,
    base: values.get('base') ?? '',
    as_of: values.get('as_of') ?? '',
    state: values.get('state') ?? '',
    tab: values.get('tab') ?? '',
    view: json(values.get('view') ?? '') ?? {},
  };
}

/** Writes the address; false where the question is too long for one. */
export function write({ space, where, base, as_of, state, tab, view }) {
  const values = new URLSearchParams();
  const text = typeof where === 'string' ? where : JSON.stringify(where);
  const fits = text.length <= LONGEST;
  if (text && fits) values.set('where', text);
  if (base) values.set('base', base);
  if (as_of) values.set('as_of', as_of);
  if (state) values.set('state', state);
  if (tab) values.set('tab', tab);
  if (view && Object.keys(view).length) values.set('view', JSON.stringify(view));
  const query = values.toString();
  history.replaceState(null, '', `#/${encodeURIComponent(space ?? '')}${query ? `?${query}` : ''}`);
  return fits;
}

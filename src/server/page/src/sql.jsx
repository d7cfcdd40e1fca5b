// SQL text for people: broken over lines, coloured, and mended where a hint says how. Knows tokens, no grammar.

const TOKEN = /'(?:[^']|'')*'?|"(?:[^"]|"")*"?|[A-Za-z_][A-Za-z0-9_]*|\d+(?:\.\d+)?|[()]|\s+|./gsu;
const WORDS = new Set(
  ('select from where and or not in between like ilike is null exists count sum avg min max quantile first last distinct group by order desc asc limit having as interval day week month year date timestamp current_date true false escape explain ' +
    'has_all has_none followed_by in_audience in_snapshot was in_bitmap month_day bucket').split(' '),
);
/** Longer texts are shown plain and as they are. */
const LONGEST = 20_000;
const LINE = 64;

/** The text with a line for each AND and OR of a group that does not fit one. */
export function pretty(text) {
  if (text.length > LONGEST) return text;
  const tokens = text.match(TOKEN) ?? [];
  const close = new Map();
  const open = [];
  tokens.forEach((token, at) => {
    if (token === '(') open.push(at);
    else if (token === ')' && open.length) close.set(open.pop(), at);
  });
  const broken = (from, to) => tokens.slice(from, to).join('').length > LINE;
  const levels = [{ isBroken: broken(0, tokens.length), indent: 0, end: tokens.length, isBetween: false }];
  let out = '';
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    const level = levels[levels.length - 1];
    const word = token.toLowerCase();
    if (token === '(') {
      const end = close.get(at) ?? tokens.length;
      const inside = tokens.slice(at + 1, end).some((one) => /^(and|or)$/i.test(one));
      levels.push({ isBroken: inside && broken(at, end), indent: level.indent + 1, end, isBetween: false });
    } else if (token === ')' && levels.length > 1) levels.pop();
    if (word === 'between') level.isBetween = true;
    const splits = (word === 'or' || (word === 'and' && !level.isBetween)) && level.isBroken;
    if (word === 'and') level.isBetween = false;
    out += splits ? `\n${'  '.repeat(level.indent)}${token}` : token;
  }
  return out.replace(/ +\n/g, '\n');
}

/** The text in colours, with the place of an error marked. */
export function highlighted(text, mark) {
  if (text.length > LONGEST) return text;
  const parts = [];
  let at = 0;
  for (const token of text.match(TOKEN) ?? []) {
    const end = at + token.length;
    const kind = token[0] === "'" ? 'string' : /^\d/.test(token) ? 'figure' : WORDS.has(token.toLowerCase()) ? 'word' : '';
    const isMarked = mark && at < mark.end && end > mark.start;
    parts.push(kind || isMarked ? <span class={`${kind} ${isMarked ? 'is-wrong' : ''}`}>{token}</span> : token);
    at = end;
  }
  return parts;
}

/** What a hint would have in the error's place. */
export function fixed(hint) {
  const near = hint?.match(/^did you mean [`'](.+)[`']\?$/);
  if (near) return near[1];
  return hint?.match(/^a text stands in single quotes: ('.*')$/)?.[1];
}

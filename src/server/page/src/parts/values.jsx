// Values of a tag: chips, with completion from the values that there are and how many people have each.

import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, label as labelOf } from '../format.js';
import { useAnswer, useLeave, useSettled } from '../hooks.js';
import { Icon } from './icons.jsx';

/** Values that are fetched at first; a tag with more is searched on the server. */
const TOP = 500;
const SHOWN_MAX = 100;
const CHIPS_MAX = 40;

const quoted = (name) => `"${name.replaceAll('"', '""')}"`;
const pattern = (text) => `'%${text.replace(/[\\%_]/g, '\\$&').replaceAll("'", "''")}%'`;

/** The most frequent values of a field, and how many of `where` have each. */
function useCommon(field, where, isOpen) {
  const { api, asked, version } = usePage();
  const key = isOpen && field.path ? JSON.stringify([field.path, where, asked, version]) : null;
  return useAnswer(key, (signal) => api.question('distribution', { tags: [field.path], top: TOP, where, ...asked }, signal), 0);
}

/** Values that have the text, of all that there are. */
function useSearch(field, text, isWanted) {
  const { api, asked } = usePage();
  const settled = useSettled(text, 200);
  const key = isWanted && settled ? JSON.stringify([field.path, settled]) : null;
  return useAnswer(key, (signal) => {
    const [event, property] = field.path.includes('.') ? field.path.split('.') : [null, field.path];
    const tag = quoted(property);
    const how = event ? 'count(DISTINCT one_id)' : 'count(*)';
    const sql = `SELECT ${tag}, ${how} FROM ${quoted(event ?? 'profiles')} WHERE ${tag} ILIKE ${pattern(settled)} GROUP BY ${tag} ORDER BY 2 DESC LIMIT ${SHOWN_MAX}`;
    return api.question('query', { sql, as_of: asked.as_of, state: asked.state }, signal);
  }, 0);
}

/** Several values, or with `isSingle` just one. `where` is what the counts beside the values are of. */
export function Values({ field, value, onChange, isSingle, where, label }) {
  const chosen = isSingle ? (value === '' || value === undefined ? [] : [value]) : Array.isArray(value) ? value : [];
  const [text, setText] = useState('');
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const root = useRef(null);
  const input = useRef(null);
  const list = useRef(null);
  const id = useId();
  useLeave(root, isOpen, () => setOpen(false));
  const hasValues = field.type === 'category' || field.type === 'set';
  const common = useCommon(field, where, isOpen && hasValues);
  const all = common.data?.tags[field.path]?.values;
  const isLong = (all?.length ?? 0) >= TOP;
  const search = useSearch(field, text.trim(), isOpen && isLong);
  const found = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const rows = (all ?? []).filter((row) => row.value !== null && String(row.value).toLowerCase().includes(wanted));
    const seen = new Set(rows.map((row) => row.value));
    for (const [name, n] of (wanted && search.data?.rows) || []) if (!seen.has(name)) rows.push({ value: name, count: n });
    const starts = (row) => (String(row.value).toLowerCase().startsWith(wanted) ? 0 : 1);
    return (wanted ? rows.sort((a, b) => starts(a) - starts(b)) : rows).slice(0, SHOWN_MAX);
  }, [all, search.data, text]);
  useEffect(() => list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }), [at]);

  const typed = (raw) => (field.type === 'one_id' || field.type === 'number' ? Number(raw) : raw);
  const add = (more) => {
    const fresh = more.map(typed).filter((v) => v !== '' && !Number.isNaN(v));
    setText('');
    setAt(0);
    if (!fresh.length) return;
    if (isSingle) {
      onChange(fresh[0]);
      setOpen(false);
    } else onChange([...new Set([...chosen, ...fresh])]);
  };
  const toggle = (name) => (chosen.includes(name) && !isSingle ? onChange(chosen.filter((v) => v !== name)) : add([name]));
  const commit = () => {
    const exact = found[at] && isOpen ? found[at].value : text.trim();
    if (exact !== '' && exact !== undefined) toggle(exact);
  };
  const onKey = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setOpen(true);
      setAt((old) => Math.max(0, Math.min(found.length - 1, old + (isOpen ? step : 0))));
    } else if (event.key === 'Enter' || (event.key === ',' && field.type !== 'category' && field.type !== 'set')) {
      event.preventDefault();
      commit();
    } else if (event.key === 'Backspace' && text === '' && chosen.length) {
      onChange(isSingle ? '' : chosen.slice(0, -1));
    } else if (event.key === 'Tab') setOpen(false);
  };
  const onPaste = (event) => {
    const pasted = event.clipboardData.getData('text');
    if (isSingle || !/[\n,;\t]/.test(pasted)) return;
    event.preventDefault();
    add(pasted.split(/[\n,;\t]+/).map((part) => part.trim().replace(/^['"]|['"]$/g, '')));
  };
  const isOpenNow = isOpen && hasValues;
  return (
    <span class={`values ${isSingle ? 'is-single' : ''}`} ref={root} onClick={() => input.current.focus()}>
      {chosen.slice(0, CHIPS_MAX).map((one) => (
        <span class="chip" key={one}>
          {labelOf(typeof one === 'number' ? String(one) : one)}
          <button type="button" aria-label={`remove ${one}`} onClick={(event) => {
            event.stopPropagation();
            onChange(isSingle ? '' : chosen.filter((v) => v !== one));
          }}>
            <Icon name="remove" />
          </button>
        </span>
      ))}
      {chosen.length > CHIPS_MAX && (
        <span class="chip is-rest">
          + {count(chosen.length - CHIPS_MAX)} more
          <button type="button" aria-label="remove all" onClick={() => onChange([])}><Icon name="remove" /></button>
        </span>
      )}
      <input ref={input} role="combobox" aria-expanded={isOpenNow} aria-controls={id} aria-label={label} autocomplete="off" spellcheck={false}
        aria-activedescendant={isOpenNow ? `${id}-${at}` : undefined}
        placeholder={chosen.length ? '' : hasValues ? 'choose or type' : 'type, or paste a list'} value={text}
        onFocus={() => setOpen(true)} onClick={() => setOpen(true)} onKeyDown={onKey} onPaste={onPaste}
        onBlur={() => !isOpenNow && text.trim() && add([text.trim()])}
        onInput={(event) => { setText(event.target.value); setOpen(true); setAt(0); }} />
      {isOpenNow && (
        <span class="popup suggestions" role="listbox" id={id} ref={list} aria-multiselectable={!isSingle}>
          {found.map((row, index) => (
            <span key={row.value} id={`${id}-${index}`} role="option" aria-selected={index === at} aria-checked={chosen.includes(row.value)} class="choice"
              onPointerMove={() => setAt(index)} onPointerDown={(event) => event.preventDefault()} onClick={(event) => { event.stopPropagation(); toggle(row.value); }}>
              <span class="tick">{chosen.includes(row.value) ? '✓' : ''}</span>
              <span class="choice-name">{labelOf(row.value)}</span>
              <span class="muted num">{count(row.count)}</span>
            </span>
          ))}
          {!found.length && <span class="choices-none">{common.busy || search.busy ? 'looking…' : text ? `nobody has “${text}” yet; Enter takes it all the same` : 'no values yet'}</span>}
          {common.error && <span class="choices-none">{common.error.message}</span>}
        </span>
      )}
    </span>
  );
}

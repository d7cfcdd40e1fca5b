// A button that opens a list with a search field: for tags, events and kinds of rules, however many there are.

import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import { useLeave } from '../hooks.js';
import { Icon } from './icons.jsx';

const SHOWN_MAX = 200;

/** `items` are `{key, label, group, note}`; `onPick` is told the item. */
export function Picker({ items, value, label, onPick, className = '', icon, placeholder = 'Search' }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const button = useRef(null);
  const leave = () => setOpen(false);
  useLeave(root, isOpen, leave);
  const picked = (item) => {
    setOpen(false);
    button.current?.focus();
    onPick(item);
  };
  return (
    <span class={`picker ${className}`} ref={root}>
      <button type="button" ref={button} class="picker-button" aria-haspopup="listbox" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {icon && <Icon name={icon} />}
        <span class="picker-label">{value ?? label}</span>
        {!icon && <Icon name="chevron" />}
      </button>
      {isOpen && <Choices items={items} label={label} placeholder={placeholder} onPick={picked} />}
    </span>
  );
}

function Choices({ items, label, placeholder, onPick }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const id = useId();
  const input = useRef(null);
  const list = useRef(null);
  const found = useMemo(() => matching(items, text).slice(0, SHOWN_MAX), [items, text]);
  useEffect(() => input.current.focus({ preventScroll: true }), []);
  useEffect(() => list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' }), [at]);
  const onKey = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((old) => Math.max(0, Math.min(found.length - 1, old + step)));
    } else if (event.key === 'Enter' && found[at]) {
      event.preventDefault();
      onPick(found[at]);
    }
  };
  let group = null;
  return (
    <span class="popup choices">
      <input ref={input} type="search" role="combobox" aria-expanded="true" aria-controls={id} aria-label={label} aria-activedescendant={`${id}-${at}`}
        autocomplete="off" placeholder={placeholder} value={text} onKeyDown={onKey} onInput={(event) => { setText(event.target.value); setAt(0); }} />
      <span class="choices-list" role="listbox" id={id} ref={list}>
        {found.map((item, index) => {
          const heading = item.group !== group ? (group = item.group) : null;
          return (
            <>
              {heading && <span class="choices-group" role="presentation">{heading}</span>}
              <span key={item.key} id={`${id}-${index}`} role="option" aria-selected={index === at} class="choice"
                onPointerMove={() => setAt(index)} onClick={() => onPick(item)}>
                <span>{item.label}</span>
                {item.note && <span class="muted">{item.note}</span>}
              </span>
            </>
          );
        })}
        {!found.length && <span class="choices-none">nothing is called “{text}”</span>}
      </span>
    </span>
  );
}

/** Items that have the text: beginning with it first. The groups stay together. */
function matching(items, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return items;
  const rank = (item) => {
    const at = item.label.toLowerCase().indexOf(wanted);
    if (at === 0) return 0;
    if (at > 0) return 1;
    return `${item.group} ${item.note ?? ''}`.toLowerCase().includes(wanted) ? 2 : 3;
  };
  return items.map((item) => [rank(item), item]).filter(([r]) => r < 3).sort((a, b) => a[0] - b[0]).map(([, item]) => item);
}

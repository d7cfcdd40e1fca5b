// What every rule and group has at its right: what can be done with it, and how many people it holds.

import { useEffect, useRef, useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, percent } from '../format.js';
import { useLeave } from '../hooks.js';
import { Icon, IconButton } from '../parts/icons.jsx';

export function Actions({ actions, isNegated, kind }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const { node } = actions;
  useLeave(root, isOpen, () => setOpen(false));
  useEffect(() => {
    if (isOpen) root.current.querySelector('.menu button:not(:disabled)')?.focus();
  }, [isOpen]);
  const items = [
    ['up', 'Move up', actions.up, actions.isFirst],
    ['down', 'Move down', actions.down, actions.isLast],
    ['wrap', 'Put into a group', actions.wrap],
    ['copy', 'Duplicate', actions.duplicate],
    [node.disabled ? 'hidden' : 'off', node.disabled ? 'Switch on' : 'Switch off', actions.disable],
  ];
  const onKey = (event) => {
    const buttons = [...root.current.querySelectorAll('.menu button:not(:disabled)')];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to === undefined || !buttons.length) return;
    event.preventDefault();
    buttons[(to + buttons.length) % buttons.length].focus();
  };
  return (
    <span class="actions" ref={root} onKeyDown={onKey}>
      <button type="button" class="not-toggle" aria-pressed={!!isNegated} title={isNegated ? 'take NOT off' : 'everyone else'} onClick={actions.negate}>not</button>
      <IconButton name="more" label={`more for this ${kind}`} aria-haspopup="menu" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)} />
      <IconButton name="remove" label={`remove ${kind}`} onClick={actions.remove} />
      {isOpen && (
        <span class="popup menu" role="menu">
          {items.map(([icon, words, act, isDisabled]) => (
            <button type="button" role="menuitem" key={words} disabled={isDisabled} onClick={() => { setOpen(false); act(); }}><Icon name={icon} /> {words}</button>
          ))}
        </span>
      )}
    </span>
  );
}

/** How many a rule or group holds alone, its share of the base, and the whole without it. */
export function Tally({ node }) {
  const { counts } = usePage();
  const own = counts.of(node.id);
  if (!counts.isShown(node.id)) return <span class="tally" />;
  const share = own && counts.base ? own.count / counts.base : 0;
  const more = own?.without !== undefined && counts.total !== null ? own.without - counts.total : null;
  const title = own ? `${count(own.count)} people alone; ${own.without === undefined ? '' : `the whole without it: ${count(own.without)}`}` : '';
  return (
    <span class={`tally ${counts.busy ? 'is-stale' : ''}`} title={title} data-count={own?.count}>
      <span class="tally-bar"><span style={{ width: `${Math.min(100, share * 100)}%` }} /></span>
      <span class="tally-count num">{own ? count(own.count) : '…'}</span>
      <span class="tally-share num muted">{own ? percent(share) : ''}</span>
      <span class="tally-without num muted">{more === null || more === 0 ? '' : `${more > 0 ? '+' : '−'}${count(Math.abs(more))} without`}</span>
    </span>
  );
}

// A condition inside a rule: folded up to a few words while it is empty.

import { useState } from 'preact/hooks';
import { group as newGroup } from '../tree.js';
import { Group } from './group.jsx';

export function Condition({ node, onChange, scope, label, words = '', opens = `${label}…` }) {
  const [isOpen, setOpen] = useState(false);
  const isEmpty = !node || (!node.rules.length && !node.not);
  if (isEmpty && !isOpen) {
    return (
      <span class="condition-closed">
        {words && <span class="muted">{words}</span>}
        <button type="button" class="link" onClick={() => setOpen(true)}>{opens}</button>
      </span>
    );
  }
  return (
    <span class="condition">
      <span class="condition-label muted">{label}</span>
      <Group group={node ?? newGroup()} onChange={onChange} scope={scope} where={() => undefined} label={label} />
    </span>
  );
}

// The tree with its past: what is changed can be taken back.

import { useRef, useState } from 'preact/hooks';

const KEPT = 200;
/** Changes that follow each other this fast (typing) are one step. */
const ONE_STEP_MS = 700;

const NAMES = ['id', 'field', 'operator', 'combinator', 'mode', 'fn', 'of', 'by', 'order', 'event'];

/** The tree without what people type: texts and numbers that are no names. */
const shape = (tree) => JSON.stringify(tree, (key, value) => (NAMES.includes(key) || !['string', 'number'].includes(typeof value) ? value : ''));

export function useTree(first) {
  const [tree, set] = useState(first);
  const past = useRef([]);
  const future = useRef([]);
  const changedAt = useRef(0);
  const setTree = (next) =>
    set((old) => {
      const made = typeof next === 'function' ? next(old) : next;
      if (made === old) return old;
      const now = Date.now();
      if (now - changedAt.current > ONE_STEP_MS || shape(made) !== shape(old)) past.current = [...past.current.slice(-KEPT), old];
      changedAt.current = now;
      future.current = [];
      return made;
    });
  const step = (from, to) => () =>
    set((old) => {
      const made = from.current.pop();
      if (!made) return old;
      to.current.push(old);
      changedAt.current = 0;
      return made;
    });
  const history = { undo: step(past, future), redo: step(future, past), canUndo: past.current.length > 0, canRedo: future.current.length > 0 };
  return { tree, setTree, history };
}

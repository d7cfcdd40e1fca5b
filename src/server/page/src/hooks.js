// Asking over and over: after a pause, one request at a time, and what was asked before is cancelled.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

/**
 * The answer to `ask(signal)`, asked again whenever `key` changes; null asks nothing.
 * The last answer stays until the next has come, so that nothing jumps.
 */
export function useAnswer(key, ask, pause = 120) {
  const [state, set] = useState({ data: null, error: null, busy: false, key: null });
  const again = useRef(0);
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (key === null) {
      set({ data: null, error: null, busy: false, key: null });
      return undefined;
    }
    const control = new AbortController();
    set((old) => ({ ...old, busy: true }));
    const timer = setTimeout(async () => {
      try {
        const data = await ask(control.signal);
        if (!control.signal.aborted) set({ data, error: null, busy: false, key });
      } catch (error) {
        if (!control.signal.aborted) set((old) => ({ data: old.data, error, busy: false, key }));
      }
    }, again.current ? 0 : pause);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [key, round]);
  const retry = useMemo(() => () => {
    again.current++;
    setRound((n) => n + 1);
  }, []);
  return { ...state, isFresh: state.key === key && !state.busy, retry };
}

/** The value, once it has been the same for a while. */
export function useSettled(value, pause) {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), pause);
    return () => clearTimeout(timer);
  }, [value, pause]);
  return settled;
}

/** Calls `leave` on Escape and on a press outside of `ref`. */
export function useLeave(ref, isOpen, leave) {
  useEffect(() => {
    if (!isOpen) return undefined;
    const onKey = (event) => event.key === 'Escape' && leave();
    const onPress = (event) => ref.current && !ref.current.contains(event.target) && leave();
    document.addEventListener('keydown', onKey);
    document.addEventListener('pointerdown', onPress);
    return () => {
      document.removeEventListener('keydown', onKey);
      document.removeEventListener('pointerdown', onPress);
    };
  }, [isOpen]);
}

export async function inTurn(items, atOnce, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
}

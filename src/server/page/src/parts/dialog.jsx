// A modal dialog, the browser's own.

import { useEffect, useId, useRef } from 'preact/hooks';
import { IconButton } from './icons.jsx';

export function Dialog({ title, onClose, children, isWide }) {
  const dialog = useRef(null);
  const id = useId();
  useEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  return (
    <dialog ref={dialog} class={isWide ? 'is-wide' : ''} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); onClose(); }}
      onPointerDown={(event) => event.target === dialog.current && onClose()}>
      <div class="dialog-body">
        <header><h2 id={id}>{title}</h2><IconButton name="remove" label="close" onClick={onClose} /></header>
        {children}
      </div>
    </dialog>
  );
}

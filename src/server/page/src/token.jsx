// Asking for the bearer token; it stays in this tab.

import { useState } from 'preact/hooks';
import { token } from './api.js';
import { Dialog } from './parts/dialog.jsx';
import { Field } from './parts/select.jsx';

export function TokenDialog({ onToken, onClose, isRefused }) {
  const [text, setText] = useState(token.get());
  const submit = (event) => {
    event.preventDefault();
    onToken(text.trim());
  };
  return (
    <Dialog title="Token" onClose={onClose}>
      <form onSubmit={submit}>
        <p class="muted">{isRefused ? 'The server wants a token that it knows.' : 'A bearer token, if this server asks for one.'} It is kept in this tab until it is closed.</p>
        <Field label="Bearer token"><input type="password" autocomplete="off" value={text} onInput={(event) => setText(event.target.value)} autofocus /></Field>
        <div class="dialog-buttons"><button type="submit" class="primary">Use it</button></div>
      </form>
    </Dialog>
  );
}

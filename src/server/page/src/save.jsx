// Saving an audience under a name.

import { useState } from 'preact/hooks';
import { usePage } from './context.js';
import { Dialog } from './parts/dialog.jsx';
import { Problem } from './parts/problem.jsx';
import { Field } from './parts/select.jsx';

/** Names are plain: what people type becomes one. */
const nameOf = (text) => text.toLowerCase().replace(/[^a-z0-9_]+/g, '_').replace(/^[^a-z]+/, '');

export function SaveDialog({ onClose, where }) {
  const { api, opened, setOpened, refreshAudiences, audiences } = usePage();
  const [name, setName] = useState(opened?.name ?? '');
  const [description, setDescription] = useState(opened?.description ?? '');
  const [labels, setLabels] = useState((opened?.labels ?? []).join(', '));
  const [error, setError] = useState(null);
  const exists = audiences.some((one) => one.name === name.trim());
  const submit = async (event) => {
    event.preventDefault();
    try {
      const body = { where, description: description.trim(), labels: labels.split(',').map((one) => one.trim()).filter(Boolean) };
      setOpened(await api.save(name.trim(), body));
      refreshAudiences();
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <Dialog title="Save as an audience" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Name"><input class="text" required pattern="[a-z][a-z0-9_]*" title="a lower-case letter, then letters, digits and _" maxLength={64} value={name} onInput={(event) => setName(nameOf(event.target.value))} autofocus /></Field>
        <Field label="Description"><textarea rows={3} value={description} onInput={(event) => setDescription(event.target.value)} /></Field>
        <Field label="Labels, with commas"><input class="text" value={labels} onInput={(event) => setLabels(event.target.value)} /></Field>
        {exists && <p class="note">“{name.trim()}” is there already: this will be its next version.</p>}
        <Problem error={error} />
        <div class="dialog-buttons"><button type="button" onClick={onClose}>Cancel</button><button type="submit" class="primary">Save</button></div>
      </form>
    </Dialog>
  );
}

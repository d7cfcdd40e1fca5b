// The browser's own select and fields, with our look.

/** `options` are `[value, words]`. */
export function Select({ value, options, onChange, label, className = '' }) {
  const known = options.some(([key]) => String(key) === String(value));
  return (
    <select class={className} aria-label={label} value={value ?? ''} onChange={(event) => onChange(event.target.value)}>
      {!known && <option value={value ?? ''}>{value || 'choose…'}</option>}
      {options.map(([key, words]) => <option key={key} value={key}>{words}</option>)}
    </select>
  );
}

export function Field({ label, children, className = '' }) {
  return (
    <label class={`field ${className}`}>
      <span class="field-label">{label}</span>
      {children}
    </label>
  );
}

/** A number as people type it; what is no number yet stays as it is typed. */
export function NumberInput({ value, onChange, label, placeholder = '0', min }) {
  const shown = value && typeof value === 'object' ? value.number : (value ?? '');
  const changed = (text) => {
    const trimmed = text.trim();
    const number = Number(trimmed);
    if (trimmed === '' || !Number.isFinite(number)) return onChange(trimmed === '' ? '' : Number.NaN, text);
    return onChange(String(number) === trimmed || Math.abs(number) < 2 ** 53 ? number : { number: trimmed });
  };
  return (
    <input class="number" type="number" step="any" min={min} inputMode="decimal" aria-label={label} placeholder={placeholder}
      value={Number.isNaN(shown) ? '' : shown} onInput={(event) => changed(event.target.value)} />
  );
}

export function Segments({ value, options, onChange, label }) {
  return (
    <span class="segments" role="group" aria-label={label}>
      {options.map(([key, words]) => (
        <button type="button" key={key} aria-pressed={value === key} onClick={() => onChange(key)}>{words}</button>
      ))}
    </span>
  );
}

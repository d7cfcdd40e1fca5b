// What went wrong, in the server's words.

export function Problem({ error, onRetry }) {
  if (!error) return null;
  if (error.status === 404 && error.code === 'unknown_route') {
    return <p class="note">This server does not answer that yet.</p>;
  }
  return (
    <div class="problem" role="alert">
      <span>{error.message}</span>
      {error.hint && <span class="muted"> {error.hint}</span>}
      {onRetry && <button type="button" class="link" onClick={onRetry}>try again</button>}
    </div>
  );
}

export function Warnings({ warnings }) {
  if (!warnings?.length) return null;
  return <ul class="warnings">{warnings.map((warning) => <li key={warning.message}>{warning.message}</li>)}</ul>;
}

/** An answer that is on its way, was refused, or is here. The room for it is kept. */
export function Answer({ answer, children, lines = 6 }) {
  const { data, error, busy, retry } = answer;
  if (error) return <Problem error={error} onRetry={retry} />;
  if (!data) return <div class={`waiting waiting-${lines}`} aria-busy="true" />;
  return <div class={busy ? 'answer is-stale' : 'answer'}>{children(data)}<Warnings warnings={data.warnings} /></div>;
}

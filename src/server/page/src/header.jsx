// The top line: which space, how large it is, and what has been seen of it.

import { useState } from 'preact/hooks';
import { count } from './format.js';
import { Select } from './parts/select.jsx';

const SCHEMES = { auto: 'light dark', light: 'light', dark: 'dark' };

export function Header({ spaces, current, onChoose, onToken, hasToken }) {
  return (
    <header class="top">
      <a class="brand" href="/"><img src="/page/icon.svg" alt="" width="22" height="22" />headcount</a>
      {current && (
        <>
          <Select className="space" label="space" value={current.name} options={spaces.map(({ name }) => [name, name])} onChange={onChoose} />
          <span class="top-facts"><b class="num" data-profiles={current.profile_count}>{count(current.profile_count)}</b> people <span class="muted">· data version <span class="num">{count(current.data_version)}</span></span></span>
        </>
      )}
      <nav>
        <a href="/docs">API</a>
        <button type="button" class="quiet" onClick={onToken}>{hasToken ? 'Token ✓' : 'Token'}</button>
        <Scheme />
      </nav>
    </header>
  );
}

function Scheme() {
  const [scheme, set] = useState('auto');
  const choose = (next) => {
    set(next);
    document.documentElement.style.colorScheme = SCHEMES[next];
  };
  return <Select className="quiet-select" label="colours" value={scheme} options={[['auto', 'auto'], ['light', 'light'], ['dark', 'dark']]} onChange={choose} />;
}

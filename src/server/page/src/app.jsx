// The page: which space, what is asked of it, and where each part of the page stands.

import { useCallback, useEffect, useState } from 'preact/hooks';
import { ask, spaceApi, token, whenUnauthorized } from './api.js';
import { useAnswer } from './hooks.js';
import * as link from './link.js';
import { Header } from './header.jsx';
import { TokenDialog } from './token.jsx';
import { Workbench } from './workbench.jsx';
import { Problem } from './parts/problem.jsx';

const POLL_MS = 10_000;

export function App() {
  const [start] = useState(link.read);
  const [name, setName] = useState(start.space);
  const [asksToken, setAsksToken] = useState(false);
  const [signedIn, setSignedIn] = useState(0);
  useEffect(() => whenUnauthorized(() => setAsksToken(true)), []);
  const spaces = useAnswer(`spaces ${signedIn}`, (signal) => ask('/v1/spaces', { signal }), 0);
  usePoll(spaces.retry);
  const list = spaces.data?.spaces;
  const current = list && (list.find((space) => space.name === name) ?? list.find((space) => space.name === 'main') ?? list[0]);
  const info = useAnswer(current ? `${current.name} ${signedIn}` : null, (signal) => spaceApi(current.name).describe(signal), 0);
  const isReady = info.data && info.data.name === current?.name;
  const choose = useCallback((next) => {
    link.write({ space: next });
    setName(next);
  }, []);
  const signIn = (text) => {
    token.set(text);
    setAsksToken(false);
    setSignedIn((n) => n + 1);
  };
  return (
    <>
      <Header spaces={list ?? []} current={current} onChoose={choose} onToken={() => setAsksToken(true)} hasToken={!!token.get()} />
      {asksToken && <TokenDialog onToken={signIn} onClose={() => setAsksToken(false)} isRefused={!!token.get()} />}
      {spaces.error && !asksToken && <main class="alone"><Problem error={spaces.error} onRetry={spaces.retry} /></main>}
      {info.error && <main class="alone"><Problem error={info.error} onRetry={info.retry} /></main>}
      {isReady && (
        <Workbench key={`${current.name} ${signedIn}`} info={info.data} version={current.data_version}
          start={start.space === current.name || !start.space ? start : { where: '', view: {} }} onSchema={info.retry} />
      )}
      {!isReady && !info.error && !spaces.error && <main class="alone" aria-busy="true" />}
    </>
  );
}

/** Asks again every now and then while somebody looks, and when they come back. */
function usePoll(again) {
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && again();
    const timer = setInterval(look, POLL_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, []);
}

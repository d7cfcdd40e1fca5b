// One space on the bench: the question as it stands, what everything on the page asks from, and the address.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { spaceApi } from './api.js';
import { Audiences } from './audiences.jsx';
import { Group } from './builder/group.jsx';
import { Page } from './context.js';
import { useCounts } from './counts.js';
import { peopleScope } from './fields.js';
import { useAnswer } from './hooks.js';
import { Insight } from './insight/insight.jsx';
import * as link from './link.js';
import { SaveDialog } from './save.jsx';
import { Starters } from './starters.jsx';
import { TextPane } from './text.jsx';
import { Total } from './total.jsx';
import { useTree } from './history.js';
import { bare, changed, freshId, group as newGroup, hasDisabled, isEveryone, isGroup, pruned, rootOf } from './tree.js';

export function Workbench({ info, version, start }) {
  const { schema } = info;
  const api = useMemo(() => spaceApi(info.name), [info.name]);
  const startsAsText = typeof start.where === 'string' && start.where !== '';
  const { tree, setTree, history } = useTree(() => (start.where && !startsAsText ? rootOf(start.where) : newGroup()));
  const [draft, setDraft] = useState(startsAsText ? start.where : null);
  const [scope, setScope] = useState({ base: start.base, as_of: start.as_of, state: start.state });
  const [tab, setTab] = useState(start.tab || 'distribution');
  const [views, setViews] = useState({ [start.tab || 'distribution']: start.view });
  const [opened, setOpened] = useState(null);
  const [isSaving, setSaving] = useState(false);
  const asked = useMemo(() => Object.fromEntries(Object.entries(scope).filter(([, value]) => value)), [scope]);
  const sent = useMemo(() => pruned(tree), [tree]);
  const key = JSON.stringify(sent.where);
  const { base: _, ...unbased } = asked;
  const counts = useCounts({ api, tree, sent, asked, version });
  const canonical = useAnswer(isEveryone(sent.where) ? null : `${key} ${JSON.stringify(unbased)}`, (signal) => api.question('plan', { where: sent.where, ...unbased }, signal), 200);
  const audiences = useAnswer('audiences', (signal) => api.audiences(signal), 0);
  const kept = useAnswer(`states ${info.data_version}`, (signal) => api.snapshots(signal), 0);
  const people = useMemo(() => peopleScope(schema), [schema]);
  const states = useMemo(() => [...new Set((kept.data?.snapshots ?? []).flatMap(({ name, date }) => [name, date]).filter(Boolean))], [kept.data]);
  const today = scope.as_of || new Intl.DateTimeFormat('en-CA', { timeZone: schema.time_zone }).format(new Date());
  const fits = useAddress({ space: info.name, tree, canonical, sent, draft, scope, tab, view: views[tab] });

  const addRules = (...rules) => {
    const added = rules.map((rule) => (isGroup(rule) ? rootOf(rule) : { ...rule, id: freshId() }));
    setDraft(null);
    setTree((old) => (old.combinator === 'and' && !old.not ? { ...old, rules: [...old.rules, ...added] } : newGroup([...(old.rules.length ? [old] : []), ...added])));
  };
  /** Adds what a text says, as AND. */
  const addText = async (text) => addRules((await api.question('plan', { where: text })).tree);
  const openText = (text) => setDraft(text);
  const openAudience = async (name) => {
    const audience = await api.audience(name);
    setOpened(audience);
    setDraft(null);
    setTree(rootOf(audience.tree));
  };
  const page = {
    api, info, schema, people, asked, unbased, sent, counts, version, audiences: audiences.data?.audiences ?? [], states, today, opened, history: { ...history, clear: () => { setDraft(null); setOpened(null); setTree(newGroup()); } },
    canonicalText: isEveryone(sent.where) ? 'TRUE' : (canonical.data?.text ?? ''), setTree, addRules, addText, openText, openAudience, refreshAudiences: audiences.retry, refreshStates: kept.retry, setOpened,
    setAsked: (more) => setScope((old) => ({ ...old, ...more })),
    errorAt: (id) => (counts.error?.at?.pointer && placeOf(sent.places, counts.error.at.pointer) === id ? counts.error : null),
    focusSoon: useFocusSoon(),
    /** What is asked without one rule: what a choice of its values would be among. */
    without: (id) => pruned(changed(tree, id, () => null)).where,
  };
  const change = (next) => {
    setDraft(null);
    setTree(next);
  };
  return (
    <Page.Provider value={page}>
      <main class="bench">
        <Audiences />
        <section class="question" aria-label="the question">
          <header><h2>Who</h2>{!fits && <span class="muted">too long for a link; save it instead</span>}</header>
          <Group group={tree} onChange={change} scope={people} where={page.without} isRoot label="the question" />
          {isEveryone(sent.where) && !sent.waiting && draft === null && <Starters onPick={openText} />}
        </section>
        <aside class="side">
          <Total canonical={canonical} onSave={() => setSaving(true)} />
          <TextPane draft={draft} setDraft={setDraft} canonical={canonical} />
        </aside>
        <Insight tab={tab} setTab={setTab} view={views[tab] ?? {}} setView={(more) => setViews((old) => ({ ...old, [tab]: { ...old[tab], ...more } }))} />
      </main>
      <datalist id="states">{states.map((state) => <option key={state} value={state} />)}</datalist>
      {isSaving && <SaveDialog onClose={() => setSaving(false)} where={bareOrText(tree, canonical)} />}
    </Page.Provider>
  );
}

/** Saved as canonical text; as a tree where some of it is switched off, or the text is still of the question before. */
const bareOrText = (tree, canonical) => (hasDisabled(tree) || !canonical.isFresh || !canonical.data ? bare(tree) : canonical.data.text);

/** The nearest place of ours to a pointer into what was sent. */
function placeOf(places, pointer) {
  for (let at = pointer; at; at = at.slice(0, at.lastIndexOf('/'))) if (places.has(at)) return places.get(at);
  return null;
}

/** Keeps the address at what is asked; tells whether it fits one. */
function useAddress({ space, tree, canonical, sent, draft, scope, tab, view }) {
  const [fits, setFits] = useState(true);
  const isText = !hasDisabled(tree) && canonical.isFresh && canonical.data && !canonical.error;
  const where = draft !== null && !canonical.data ? draft : isEveryone(sent.where) && !hasDisabled(tree) ? '' : isText ? canonical.data.text : bare(tree);
  const key = JSON.stringify([space, where, scope, tab, view]);
  useEffect(() => {
    const timer = setTimeout(() => setFits(link.write({ space, where, ...scope, tab: tab === 'distribution' ? '' : tab, view })), 150);
    return () => clearTimeout(timer);
  }, [key]);
  return fits;
}

/** Where somebody who has just added a rule goes on, the likeliest first. */
const FIRST_FIELDS = ['.rule-body .values input', '.rule-body input', '.rule-body select', 'button'];

/** Moves the focus to a row that is about to be drawn. */
function useFocusSoon() {
  const wanted = useRef(null);
  useLayoutEffect(() => {
    const id = wanted.current;
    if (!id) return;
    wanted.current = null;
    const row = document.getElementById(id);
    const field = FIRST_FIELDS.map((selector) => row?.querySelector(selector)).find(Boolean);
    (field ?? row)?.focus();
  });
  return (id) => {
    wanted.current = id;
  };
}

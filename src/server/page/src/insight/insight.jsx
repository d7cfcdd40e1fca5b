// What these people are like: one tab a question, each asked only while it is looked at.

import { useRef } from 'preact/hooks';
import { Crosstab } from './crosstab.jsx';
import { Differences } from './differences.jsx';
import { Distribution } from './distribution.jsx';
import { Events } from './events.jsx';
import { Flow } from './flow.jsx';
import { Lookalike } from './lookalike.jsx';
import { Members } from './members.jsx';
import { Overlap } from './overlap.jsx';
import { Plan } from './plan.jsx';
import { Split } from './split.jsx';
import { Sql } from './sql.jsx';
import { Trend } from './trend.jsx';
import { Waterfall } from './waterfall.jsx';
import { Why } from './why.jsx';

const TABS = [
  ['distribution', 'What they are like', Distribution],
  ['differences', 'What stands out', Differences],
  ['crosstab', 'Crosstab', Crosstab],
  ['overlap', 'Overlap', Overlap],
  ['events', 'Behaviour', Events],
  ['flow', 'Flow', Flow],
  ['trend', 'Trend', Trend],
  ['members', 'People', Members],
  ['why', 'Why', Why],
  ['split', 'Split', Split],
  ['waterfall', 'Waterfall', Waterfall],
  ['lookalike', 'Look-alike', Lookalike],
  ['plan', 'Plan', Plan],
  ['sql', 'SQL', Sql],
];

export function Insight({ tab, setTab, view, setView }) {
  const list = useRef(null);
  const at = Math.max(0, TABS.findIndex(([key]) => key === tab));
  const [key, , Shown] = TABS[at];
  const onKey = (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = TABS[(to + TABS.length) % TABS.length][0];
    setTab(next);
    list.current.querySelector(`#tab-${next}`).focus();
  };
  return (
    <section class="insight" aria-label="insight">
      <div class="tabs" role="tablist" ref={list} onKeyDown={onKey}>
        {TABS.map(([one, words]) => (
          <button type="button" key={one} role="tab" id={`tab-${one}`} aria-selected={one === key} aria-controls="insight" tabIndex={one === key ? 0 : -1} onClick={() => setTab(one)}>{words}</button>
        ))}
      </div>
      <div class="insight-body" role="tabpanel" id="insight" aria-labelledby={`tab-${key}`}>
        <Shown key={key} view={view} setView={setView} />
      </div>
    </section>
  );
}

// What stands out: the values in which these people differ most from the base.

import { usePage } from '../context.js';
import { count, label, percent } from '../format.js';
import { Answer } from '../parts/problem.jsx';
import { Select } from '../parts/select.jsx';
import { indexClass, ruleFor, useQuestion } from './asking.js';

export function Differences({ view, setView }) {
  const { people, addRules } = usePage();
  const answer = useQuestion('differences', { top: Number(view.top ?? 20) });
  const typeOf = (tag) => people.fields.find(({ name }) => name === tag)?.type;
  return (
    <>
      <div class="controls">
        <Select label="how many" value={String(view.top ?? 20)} options={[['10', 'ten'], ['20', 'twenty'], ['50', 'fifty'], ['200', 'two hundred']]} onChange={(top) => setView({ top: Number(top) })} />
        {answer.data && <span class="muted">{count(answer.data.looked_at)} values compared; {answer.data.test}</span>}
      </div>
      <Answer answer={answer} lines={12}>
        {(data) => (data.values.length ? (
          <table class="grid">
            <thead><tr><th>tag</th><th>value</th><th class="num">people</th><th class="num">share</th><th class="num">of the base</th><th class="num">index</th><th>against the base</th></tr></thead>
            <tbody>
              {data.values.map((row) => (
                <tr key={`${row.tag} ${row.value}`}>
                  <td class="muted">{row.tag}</td>
                  <td><button type="button" class="value" onClick={() => addRules(ruleFor(row.tag, typeOf(row.tag), row.value))}>{label(row.value)}</button></td>
                  <td class="num">{count(row.count)}</td>
                  <td class="num">{percent(row.share)}</td>
                  <td class="num muted">{percent(row.base_share)}</td>
                  <td class={`num index ${indexClass(row.index)}`}>{row.index === null ? '–' : Math.round(row.index)}</td>
                  <td><Lean share={row.share} base={row.base_share} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : <p class="muted">Nothing differs beyond chance{data.count === data.base_count ? ': these are all of the base' : ''}.</p>)}
      </Answer>
    </>
  );
}

/** How far a share lies from the base's, to either side of the middle. */
function Lean({ share, base }) {
  const lean = Math.max(-1, Math.min(1, share - base));
  const width = `${Math.abs(lean) * 50}%`;
  return (
    <span class="lean" title={`${percent(Math.abs(lean))} ${lean < 0 ? 'less' : 'more'}`}>
      <span class={lean < 0 ? 'is-low' : 'is-high'} style={lean < 0 ? { right: '50%', width } : { left: '50%', width }} />
    </span>
  );
}

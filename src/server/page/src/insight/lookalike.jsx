// Whoever is most like these people: what tells them apart, weighed, and those who score highest.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, label } from '../format.js';
import { Answer, Problem } from '../parts/problem.jsx';
import { Field, NumberInput } from '../parts/select.jsx';
import { toBase64 } from '../builder/own.jsx';
import { send } from '../api.js';
import { useQuestion } from './asking.js';

const SHOWN = 25;

export function Lookalike({ view, setView }) {
  const { api, sent, asked, addRules, history, counts } = usePage();
  const [state, setState] = useState({});
  const n = view.n ?? 10_000;
  const isSome = Number.isInteger(n) && n > 0 && counts.total > 0 && counts.total < counts.base;
  const answer = useQuestion('lookalike', isSome ? { n, limit: 10 } : null);
  const use = async () => {
    try {
      const response = await send(`${api.root}/lookalike`, { method: 'POST', body: { where: sent.where, ...asked, n }, accept: 'application/vnd.roaring' });
      const bitmap = toBase64(new Uint8Array(await response.arrayBuffer()));
      history.clear();
      addRules({ bitmap });
    } catch (error) {
      setState({ error });
    }
  };
  return (
    <>
      <div class="controls">
        <Field label="So many of the most alike"><NumberInput min="1" label="how many" value={n} onChange={(next) => setView({ n: next })} /></Field>
        <button type="button" class="primary" disabled={!answer.data} onClick={use}>Open them as a question</button>
      </div>
      <Problem error={state.error} />
      {!isSome && <p class="muted">The question is the seed: it must hold somebody, and not everybody.</p>}
      {isSome && (
        <Answer answer={answer} lines={12}>
          {(data) => (
            <>
              <p>{count(data.count)} of {count(data.candidate_count)} chosen{data.threshold === null ? '' : `, all with a score of ${data.threshold.toFixed(2)} or more`}. What weighs most:</p>
              <Weights weights={data.weights.slice(0, SHOWN)} />
            </>
          )}
        </Answer>
      )}
    </>
  );
}

function Weights({ weights }) {
  const most = Math.max(...weights.map(({ weight }) => Math.abs(weight)), 1e-9);
  return (
    <table class="grid">
      <thead><tr><th>tag</th><th>value</th><th class="num">of the seed</th><th class="num">of the base</th><th class="num">weight</th><th>against · for</th></tr></thead>
      <tbody>
        {weights.map(({ tag, value, weight, count: n, base_count }) => {
          const width = `${(50 * Math.abs(weight)) / most}%`;
          return (
            <tr key={`${tag} ${value}`}>
              <td class="muted">{tag}</td><td>{label(value)}</td><td class="num">{count(n)}</td><td class="num muted">{count(base_count)}</td><td class="num">{weight.toFixed(2)}</td>
              <td><span class="lean"><span class={weight < 0 ? 'is-low' : 'is-high'} style={weight < 0 ? { right: '50%', width } : { left: '50%', width }} /></span></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

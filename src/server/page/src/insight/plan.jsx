// How the question is answered: the steps, what was expected, what was found, and what each cost.

import { bytes, count } from '../format.js';
import { Answer } from '../parts/problem.jsx';
import { useQuestion } from './asking.js';

export function Plan() {
  const answer = useQuestion('plan', {}, { hasBase: false });
  return (
    <Answer answer={answer} lines={8}>
      {(data) => (
        <div class="scroll">
          <table class="grid plan">
            <thead><tr><th>step</th><th class="num">expected</th><th class="num">found</th><th class="num">touched</th><th class="num">time</th></tr></thead>
            <tbody><Step step={data.plan} depth={0} /></tbody>
          </table>
        </div>
      )}
    </Answer>
  );
}

function Step({ step, depth }) {
  return (
    <>
      <tr>
        <td style={{ paddingLeft: `${8 + depth * 20}px` }}><b>{step.step}</b> {step.of && <code>{step.of}</code>}</td>
        <td class="num muted">{count(step.estimate)}</td>
        <td class="num">{count(step.actual)}</td>
        <td class="num muted">{bytes(step.bytes)}</td>
        <td class="num muted">{(step.elapsed_ns / 1e6).toFixed(3)} ms</td>
      </tr>
      {(step.children ?? []).map((child, at) => <Step key={at} step={child} depth={depth + 1} />)}
    </>
  );
}

// How audiences overlap: every region exactly, and how alike each pair is.

import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { count, percent } from '../format.js';
import { Answer } from '../parts/problem.jsx';
import { Picker } from '../parts/picker.jsx';
import { IconButton } from '../parts/icons.jsx';
import { useQuestion } from './asking.js';

const MOST = 12;
const textOf = (one) => (one.name ? `in_audience('${one.name.replaceAll("'", "''")}')` : one.text);
const nameOf = (one) => one.name ?? one.text;

export function Overlap({ view, setView }) {
  const { audiences, counts } = usePage();
  const chosen = view.audiences ?? audiences.slice(0, 4).map(({ name }) => ({ name }));
  const put = (next) => setView({ audiences: next });
  const [text, setText] = useState('');
  const answer = useQuestion('overlap', chosen.length >= 2 ? { audiences: chosen.map(textOf) } : null);
  const items = audiences.filter(({ name }) => !chosen.some((one) => one.name === name)).map(({ name, description }) => ({ key: name, label: name, note: description.slice(0, 40), group: 'Saved audiences' }));
  const addText = (event) => {
    event.preventDefault();
    if (text.trim()) put([...chosen, { text: text.trim() }]);
    setText('');
  };
  return (
    <>
      <div class="controls">
        <Picker items={items} label="audience" icon="plus" onPick={({ key }) => chosen.length < MOST && put([...chosen, { name: key }])} />
        <form onSubmit={addText}><input class="text" aria-label="a condition to compare" placeholder="or a condition, and Enter" value={text} onInput={(event) => setText(event.target.value)} /></form>
        <span class="muted">among the {count(counts.total)} people of the question; 2 to {MOST} can be compared</span>
      </div>
      {chosen.length < 2 && <p class="muted">Choose two audiences or conditions at least.</p>}
      <ul class="chips">
        {chosen.map((one, at) => (
          <li class="chip" key={nameOf(one)}><b>{letter(at)}</b> {nameOf(one)}<IconButton name="remove" label={`leave out ${nameOf(one)}`} onClick={() => put(chosen.filter((_, i) => i !== at))} /></li>
        ))}
      </ul>
      {chosen.length >= 2 && <Answer answer={answer} lines={10}>{(data) => (data.counts.length === chosen.length ? <Regions data={data} chosen={chosen} /> : null)}</Answer>}
    </>
  );
}

const letter = (at) => String.fromCharCode(65 + at);

function Regions({ data, chosen }) {
  const { openText } = usePage();
  const regions = [...data.regions].sort((a, b) => b.count - a.count);
  const largest = Math.max(...regions.map((region) => region.count), 1);
  const open = (region) => openText(chosen.map((one, at) => (region.in.includes(at) ? `(${textOf(one)})` : `NOT (${textOf(one)})`)).join(' AND '));
  return (
    <div class="columns">
      <table class="grid regions">
        <thead><tr>{chosen.map((one, at) => <th key={nameOf(one)} title={nameOf(one)}>{letter(at)}</th>)}<th class="num">people in just these</th><th /></tr></thead>
        <tbody>
          {regions.map((region) => (
            <tr key={region.in.join()}>
              {chosen.map((one, at) => <td key={nameOf(one)} class={region.in.includes(at) ? 'dot is-in' : 'dot'}>{region.in.includes(at) ? '●' : '○'}</td>)}
              <td class="num"><button type="button" class="value" onClick={() => open(region)}>{count(region.count)}</button></td>
              <td class="bar-cell"><span class="bar"><span class="bar-fill" style={{ width: `${(100 * region.count) / largest}%` }} /></span></td>
            </tr>
          ))}
        </tbody>
      </table>
      <table class="grid">
        <thead><tr><th>pair</th><th class="num">both</th><th class="num">Jaccard</th></tr></thead>
        <tbody>
          {data.pairs.map(({ a, b, both, jaccard }) => (
            <tr key={`${a} ${b}`}><td><b>{letter(a)}</b> {nameOf(chosen[a])} · <b>{letter(b)}</b> {nameOf(chosen[b])}</td><td class="num">{count(both)}</td><td class="num">{percent(jaccard)}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

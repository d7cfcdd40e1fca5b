// One offer each: audiences in order, everyone in the first that they qualify for.

import { usePage } from '../context.js';
import { Answer } from '../parts/problem.jsx';
import { IconButton } from '../parts/icons.jsx';
import { Picker } from '../parts/picker.jsx';
import { useQuestion } from './asking.js';
import { Taken } from './split.jsx';

const FIRST = 3;

export function Waterfall({ view, setView }) {
  const { audiences } = usePage();
  const chosen = (view.audiences ?? audiences.slice(0, FIRST).map(({ name }) => name)).filter((name) => audiences.some((one) => one.name === name));
  const put = (next) => setView({ audiences: next });
  const swap = (at, step) => {
    const next = [...chosen];
    [next[at], next[at + step]] = [next[at + step], next[at]];
    put(next);
  };
  const answer = useQuestion('waterfall', chosen.length ? { audiences: chosen.map((audience) => ({ audience })) } : null, { hasBase: false });
  const items = audiences.filter(({ name }) => !chosen.includes(name)).map(({ name, description }) => ({ key: name, label: name, note: description.slice(0, 40), group: 'Saved audiences' }));
  if (!audiences.length) return <p class="muted">Save audiences first; then they can be put in order.</p>;
  return (
    <div class="columns">
      <div>
        <div class="controls"><Picker items={items} label="audience" icon="plus" onPick={({ key }) => put([...chosen, key])} /><span class="muted">the first that a person is in takes them</span></div>
        <ol class="parts">
          {chosen.map((name, at) => (
            <li key={name}>
              <b>{name}</b>
              <IconButton name="up" label={`${name} earlier`} disabled={at === 0} onClick={() => swap(at, -1)} />
              <IconButton name="down" label={`${name} later`} disabled={at === chosen.length - 1} onClick={() => swap(at, 1)} />
              <IconButton name="remove" label={`leave out ${name}`} onClick={() => put(chosen.filter((one) => one !== name))} />
            </li>
          ))}
        </ol>
      </div>
      {chosen.length > 0 && (
        <Answer answer={answer} lines={6}>
          {(data) => <Taken rows={[...data.steps.map((step, at) => ({ ...step, name: step.name ?? chosen[at] })), { ...data.remainder, name: data.remainder.name ?? 'nobody takes' }]} whole={data.count} />}
        </Answer>
      )}
    </div>
  );
}

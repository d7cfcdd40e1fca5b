// Rules of headcount's own: saved audiences, frozen ones, ranks, splits, earlier states, bitmaps.

import { usePage } from '../context.js';
import { OPERATORS, withOperator } from '../fields.js';
import { count } from '../format.js';
import { useAnswer } from '../hooks.js';
import { NumberInput, Select } from '../parts/select.jsx';
import { Condition } from './condition.jsx';
import { ValueOf } from './value.jsx';

export function OwnRule(props) {
  const { rule } = props;
  if ('audience' in rule) return <InAudience {...props} />;
  if ('snapshot' in rule) return <InSnapshot {...props} />;
  if (rule.top) return <Top {...props} />;
  if (rule.bucket) return <Bucket {...props} />;
  if ('was' in rule) return <Was {...props} />;
  if ('among' in rule) return <Among {...props} />;
  return <Bitmap {...props} />;
}

const names = (audiences) => audiences.map(({ name, description }) => [name, description ? `${name}: ${description.slice(0, 60)}` : name]);

function InAudience({ rule, onChange }) {
  const { audiences, openAudience } = usePage();
  return (
    <>
      <span class="words">is in the audience</span>
      <Select className="field-name" label="audience" value={rule.audience} options={names(audiences)} onChange={(audience) => onChange({ ...rule, audience })} />
      {rule.audience && <button type="button" class="link" onClick={() => openAudience(rule.audience)}>what is it?</button>}
    </>
  );
}

function InSnapshot({ rule, onChange }) {
  const { audiences, api } = usePage();
  const kept = useAnswer(rule.snapshot ? `snapshots ${rule.snapshot}` : null, (signal) => api.get(['audiences', rule.snapshot, 'snapshots'], signal), 0);
  const isRelative = typeof rule.on === 'object';
  const on = isRelative ? JSON.stringify(rule.on) : rule.on;
  const days = (kept.data?.snapshots ?? []).map(({ date, count: n }) => [date, `${date} (${count(n)})`]);
  return (
    <>
      <span class="words">was in the frozen audience</span>
      <Select className="field-name" label="audience" value={rule.snapshot} options={names(audiences)} onChange={(snapshot) => onChange({ ...rule, snapshot })} />
      <span class="words">of</span>
      {isRelative || days.length ? <Select label="frozen on" value={on} options={isRelative ? [[on, relativeWords(rule.on)], ...days] : days} onChange={(next) => onChange({ ...rule, on: next })} /> : <input type="date" aria-label="frozen on" value={rule.on ?? ''} onInput={(event) => onChange({ ...rule, on: event.target.value })} />}
    </>
  );
}

function Top({ rule, onChange }) {
  const { people } = usePage();
  const { top } = rule;
  const put = (more) => onChange({ ...rule, top: { ...top, ...more } });
  const ranked = people.fields.filter(({ type, kind }) => kind === 'tag' && (type === 'number' || type === 'date'));
  return (
    <>
      <span class="words">is among the</span>
      <NumberInput min="0" label="how many" value={top.n} onChange={(n) => put({ n })} />
      <span class="words">with the</span>
      <Select label="which end" value={top.order ?? 'asc'} options={[['desc', 'highest'], ['asc', 'lowest']]} onChange={(order) => put({ order })} />
      <Select className="field-name" label="ranked by" value={top.by} options={ranked.map(({ name }) => [name, name])} onChange={(by) => put({ by })} />
      <Condition label="of those who" words="of everyone," opens="narrow…" node={top.where} scope={people} onChange={(where) => put({ where })} />
    </>
  );
}

const BUCKET = { name: 'bucket', type: 'bucket', path: null };

function Bucket({ rule, onChange, scope, where }) {
  const { bucket } = rule;
  const put = (more) => onChange({ ...rule, bucket: { ...bucket, ...more } });
  return (
    <>
      <span class="words">split</span>
      <input class="text" aria-label="salt of the split" placeholder="name of the split" value={bucket.salt} onInput={(event) => put({ salt: event.target.value })} />
      <span class="words">into</span>
      <NumberInput min="1" label="number of buckets" value={bucket.of} onChange={(of) => put({ of })} />
      <span class="words">bucket</span>
      <Select className="operator" label="which buckets" value={rule.operator} options={OPERATORS.bucket} onChange={(key) => onChange(withOperator(rule, key, 'bucket'))} />
      <ValueOf rule={rule} field={BUCKET} onChange={onChange} where={where} scope={scope} />
    </>
  );
}

function Was({ rule, onChange }) {
  const { states, people } = usePage();
  const isRelative = typeof rule.was === 'object';
  const known = states.map((state) => [state, state]);
  return (
    <>
      <span class="words">was, as of</span>
      {isRelative ? (
        <Select label="state" value={JSON.stringify(rule.was)} options={[[JSON.stringify(rule.was), relativeWords(rule.was)], ...known]} onChange={(was) => onChange({ ...rule, was })} />
      ) : (
        <input class="text" list="states" aria-label="day or name of the state" placeholder="2026-10-31 or a name" value={rule.was} onInput={(event) => onChange({ ...rule, was: event.target.value })} />
      )}
      <Condition label="this" node={rule.rule} scope={people} onChange={(next) => onChange({ ...rule, rule: next })} />
    </>
  );
}

/** A day that moves with the question's, in words. */
function relativeWords(value) {
  const steps = value.current_date ?? [value];
  return steps.flatMap((step) => Object.entries(step).map(([key, n]) => (n === 0 ? 'today' : `${n} ${key.replace('_', ' ')}`))).join(', ') || 'today';
}

function Among({ rule, onChange }) {
  const { people } = usePage();
  return (
    <>
      <span class="words">is one of those who</span>
      <Condition label="satisfy" node={rule.among} scope={people} onChange={(among) => onChange({ ...rule, among })} />
    </>
  );
}

export function toBase64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function Bitmap({ rule, onChange }) {
  const read = async (file) => {
    if (!file) return;
    onChange({ ...rule, bitmap: toBase64(new Uint8Array(await file.arrayBuffer())) });
  };
  return (
    <>
      <span class="words">is in the bitmap</span>
      <label class="file">
        <input type="file" aria-label="portable Roaring bitmap of OneIDs" onChange={(event) => read(event.target.files[0])} />
        <span>{rule.bitmap ? `${count(Math.floor((rule.bitmap.length * 3) / 4))} bytes` : 'choose a Roaring file'}</span>
      </label>
    </>
  );
}

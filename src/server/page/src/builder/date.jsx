// Dates: of the calendar, or so many days before the question's own.

import { usePage } from '../context.js';
import { NumberInput, Select } from '../parts/select.jsx';

const RELATIVE = [
  ['days_ago', 'days ago'], ['weeks_ago', 'weeks ago'], ['months_ago', 'months ago'], ['years_ago', 'years ago'],
  ['days_ahead', 'days ahead'], ['weeks_ahead', 'weeks ahead'], ['months_ahead', 'months ahead'], ['years_ahead', 'years ahead'],
];
const KINDS = [...RELATIVE, ['today', 'today'], ['date', 'on the day'], ['timestamp', 'at the time']];

const relativeOf = (value) => RELATIVE.find(([key]) => value && typeof value === 'object' && key in value)?.[0];

export function DateValue({ value, onChange, label, isMoment }) {
  const { today } = usePage();
  const relative = relativeOf(value);
  if (value?.current_date) return <Distances steps={value.current_date} onChange={(steps) => onChange({ current_date: steps })} label={label} />;
  const isToday = relative === 'days_ago' && value.days_ago === 0;
  const kind = isToday ? 'today' : relative ?? (value?.timestamp !== undefined ? 'timestamp' : 'date');
  const change = (next) => {
    if (next === 'today') return onChange({ days_ago: 0 });
    if (next === 'date') return onChange({ date: today });
    if (next === 'timestamp') return onChange({ timestamp: `${today} 00:00:00` });
    return onChange({ [next]: isToday || !relative ? 30 : value[relative] });
  };
  const kinds = isMoment ? KINDS : KINDS.slice(0, -1);
  return (
    <span class="date-value">
      {kind === 'date' && <input type="date" aria-label={label} value={value?.date ?? value ?? ''} onInput={(event) => onChange(event.target.value ? { date: event.target.value } : '')} />}
      {kind === 'timestamp' && <Moment value={value.timestamp} onChange={(timestamp) => onChange({ timestamp })} label={label} />}
      {relative && !isToday && <NumberInput min="0" value={value[relative]} onChange={(n) => onChange({ [relative]: n })} label={label} />}
      <Select className="quiet-select" label={`${label}: kind of date`} value={kind} options={kinds} onChange={change} />
    </span>
  );
}

/** A moment in the space's zone; one with an offset of its own stays text. */
function Moment({ value, onChange, label }) {
  const isLocal = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?$/.test(value);
  if (!isLocal) return <input class="text" aria-label={label} value={value} onInput={(event) => onChange(event.target.value)} />;
  return (
    <input type="datetime-local" step="1" aria-label={label} value={value.replace(' ', 'T')}
      onInput={(event) => event.target.value && onChange(event.target.value.replace('T', ' ').padEnd(19, ':00'))} />
  );
}

/** Several distances from the question's date, one after the other. */
function Distances({ steps, onChange, label }) {
  return (
    <span class="date-value">
      {steps.map((step, index) => {
        const key = relativeOf(step);
        const put = (next) => onChange(steps.map((old, i) => (i === index ? next : old)));
        return (
          <span class="pair" key={index}>
            <NumberInput min="0" value={step[key]} onChange={(n) => put({ [key]: n })} label={`${label}, step ${index + 1}`} />
            <Select className="quiet-select" label="unit" value={key} options={RELATIVE} onChange={(next) => put({ [next]: step[key] })} />
          </span>
        );
      })}
    </span>
  );
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'].map((name, at) => [String(at + 1).padStart(2, '0'), name]);
const DAYS = Array.from({ length: 31 }, (_, at) => [String(at + 1).padStart(2, '0'), String(at + 1)]);

/** A day of the year, whatever the year. */
export function MonthDay({ value, onChange, label }) {
  const [month, day] = String(value || '').split('-');
  return (
    <span class="pair">
      <Select label={`${label}, month`} value={month} options={MONTHS} onChange={(m) => onChange(`${m}-${day || '01'}`)} />
      <Select label={`${label}, day`} value={day ?? ''} options={DAYS} onChange={(d) => onChange(`${month || '01'}-${d}`)} />
    </span>
  );
}

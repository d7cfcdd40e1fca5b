// Charts in SVG: a histogram with the base behind it, and lines over days. Sizes are of the drawing, not of the screen.

import { useState } from 'preact/hooks';
import { count, label, percent, short } from '../format.js';

const [WIDTH, HEIGHT] = [360, 120];

export function Histogram({ values, onPick }) {
  if (!values.length) return <p class="muted">nobody has a value</p>;
  const largest = Math.max(...values.map((row) => Math.max(row.share ?? 0, row.base_share ?? 0)), 1e-9);
  const step = WIDTH / values.length;
  const tall = (share) => (HEIGHT * (share ?? 0)) / largest;
  const edge = values.map((row, at) => `${at ? 'L' : 'M'}${at * step} ${HEIGHT - tall(row.base_share)}H${(at + 1) * step}`).join('');
  const words = (row) => `${row.value}: ${count(row.count)} people, ${percent(row.share)}; base ${percent(row.base_share)}`;
  const isKeyed = onPick && values[0].low !== undefined;
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label="distribution in bins">
        {values.map((row, at) => (
          <g key={row.value} class="bin" role={isKeyed ? 'button' : undefined} tabIndex={isKeyed ? 0 : undefined} aria-label={words(row)}
            onClick={() => isKeyed && onPick(row, at === values.length - 1)} onKeyDown={(event) => event.key === 'Enter' && isKeyed && onPick(row, at === values.length - 1)}>
            <title>{words(row)}</title>
            <rect class="bin-area" x={at * step} y="0" width={step} height={HEIGHT} />
            <rect class="bin-fill" x={at * step + step * 0.08} y={HEIGHT - tall(row.share)} width={step * 0.84} height={tall(row.share)} />
          </g>
        ))}
        <path class="base-line" d={edge} vector-effect="non-scaling-stroke" />
      </svg>
      <figcaption class="axis num"><span>{axis(values[0].low ?? values[0].value)}</span><span>{axis(values[values.length >> 1].low ?? '')}</span><span>{axis(values[values.length - 1].high ?? values[values.length - 1].value)}</span></figcaption>
    </figure>
  );
}

const axis = (value) => (typeof value === 'number' ? short(value) : label(value));

const [WIDE, TALL, LEFT, FOOT] = [900, 240, 56, 22];

/** Lines over days. `series` are `{name, values}`, one value for each of `days`; unknown ones are gaps. */
export function Lines({ days, series }) {
  const [at, setAt] = useState(null);
  const values = series.flatMap((one) => one.values).filter((v) => v !== null && v !== undefined);
  const most = niceMax(Math.max(...values, 0));
  const x = (index) => LEFT + (days.length > 1 ? (index * (WIDE - LEFT - 8)) / (days.length - 1) : (WIDE - LEFT) / 2);
  const y = (value) => TALL - FOOT - ((TALL - FOOT - 10) * value) / most;
  const onMove = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDE;
    setAt(Math.max(0, Math.min(days.length - 1, Math.round(((place - LEFT) / (WIDE - LEFT - 8)) * (days.length - 1)))));
  };
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * most);
  const labelled = [...new Set([0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * (days.length - 1))))];
  const shown = at === null || at >= days.length ? days.length - 1 : at;
  return (
    <figure class="lines">
      <figcaption class="legend"><b class="num">{days[shown]}</b>{series.map((one, index) => <span key={one.name}><i class={`swatch line-${index}`} /> {one.name} <b class="num">{one.values[shown] === null || one.values[shown] === undefined ? '–' : label(one.values[shown])}</b></span>)}</figcaption>
      <svg viewBox={`0 0 ${WIDE} ${TALL}`} role="img" aria-label={`${series.map(({ name }) => name).join(', ')} by day`} onPointerMove={onMove} onPointerLeave={() => setAt(null)}>
        {ticks.map((tick) => (
          <g key={tick}><path class="tick" d={`M${LEFT} ${y(tick)}H${WIDE}`} /><text x={LEFT - 8} y={y(tick) + 4} text-anchor="end">{short(tick)}</text></g>
        ))}
        {labelled.map((index) => <text key={index} x={x(index)} y={TALL - 4} text-anchor={index === 0 ? 'start' : index === days.length - 1 ? 'end' : 'middle'}>{days[index]}</text>)}
        {series.map((one, index) => <path key={one.name} class={`line line-${index}`} d={pathOf(one.values, x, y)} />)}
        {days.length === 1 && series.map((one, index) => <circle key={one.name} class={`line-${index}`} cx={x(0)} cy={y(one.values[0] ?? 0)} r="4" />)}
        {at !== null && at < days.length && <path class="cursor" d={`M${x(at)} 6V${TALL - FOOT}`} />}
      </svg>
    </figure>
  );
}

function pathOf(values, x, y) {
  let out = '';
  values.forEach((value, index) => {
    if (value === null || value === undefined) return;
    const isStart = out === '' || values[index - 1] === null || values[index - 1] === undefined;
    out += `${isStart ? 'M' : 'L'}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  return out;
}

function niceMax(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((n) => n * size).find((n) => n >= value);
}

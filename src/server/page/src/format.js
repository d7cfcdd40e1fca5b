// How numbers, shares and times are shown.

const whole = new Intl.NumberFormat('en');
const decimal = new Intl.NumberFormat('en', { maximumFractionDigits: 2 });

export const count = (n) => (n === null || n === undefined ? '–' : whole.format(n));
export const number = (n) => (typeof n === 'number' ? decimal.format(n) : n === null || n === undefined ? '–' : String(n));

/** 0.0252 as `2.52 %`, with three digits that count. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return '–';
  const p = share * 100;
  if (p === 0) return '0 %';
  if (p < 0.001) return '< 0.001 %';
  return `${p >= 99.95 && p < 100 ? p.toFixed(2) : p >= 10 ? p.toFixed(1) : p >= 1 ? p.toFixed(2) : p.toPrecision(2)} %`;
}

export function took(us) {
  if (us === undefined || us === null) return '';
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(1)} s`;
}

export function bytes(n) {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let at = 0;
  for (; n >= 1000 && at < units.length - 1; at++) n /= 1000;
  return `${n < 10 && at ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/** Short, for axes: 12 k, 3.4 M. */
export function short(n) {
  const size = Math.abs(n);
  if (size >= 1e9) return `${+(n / 1e9).toPrecision(3)} G`;
  if (size >= 1e6) return `${+(n / 1e6).toPrecision(3)} M`;
  if (size >= 1e4) return `${+(n / 1e3).toPrecision(3)} k`;
  return decimal.format(n);
}

/** A value of a tag as a label; null is unknown. */
export function label(value) {
  if (value === null || value === undefined) return 'unknown';
  if (Array.isArray(value)) return value.join(', ');
  if (value === '') return '(empty)';
  return typeof value === 'number' ? number(value) : String(value);
}

export const day = (moment) => String(moment).slice(0, 10);
export const moment = (text) => String(text).slice(0, 16).replace('T', ' ');

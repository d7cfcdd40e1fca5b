// Two tags against each other inside the audience: people, shares, index; darker where there are more.

import { usePage } from '../context.js';
import { count, label, percent } from '../format.js';
import { Answer } from '../parts/problem.jsx';
import { Field, Segments, Select } from '../parts/select.jsx';
import { ruleFor, useQuestion } from './asking.js';

const SHOWN_MAX = 60;

export function Crosstab({ view, setView }) {
  const { people, info } = usePage();
  const tags = people.fields.filter(({ kind }) => kind === 'tag');
  const few = tags.filter(({ type }) => type === 'category').sort((a, b) => info.tags[a.name].value_count - info.tags[b.name].value_count);
  const columns = view.columns ?? few[1]?.name ?? tags[1]?.name;
  const rows = view.rows ?? few[2]?.name ?? few[0]?.name ?? tags[0]?.name;
  const options = tags.map(({ name }) => [name, name]);
  const answer = useQuestion('crosstab', rows && columns ? { rows, columns } : null);
  const shows = view.shows ?? 'count';
  return (
    <>
      <div class="controls">
        <Field label="Rows"><Select label="rows" value={rows} options={options} onChange={(next) => setView({ rows: next, columns })} /></Field>
        <Field label="Columns"><Select label="columns" value={columns} options={options} onChange={(next) => setView({ columns: next, rows })} /></Field>
        <Segments label="what is shown" value={shows} options={[['count', 'people'], ['row', 'row %'], ['column', 'column %'], ['index', 'index']]} onChange={(next) => setView({ shows: next })} />
      </div>
      <Answer answer={answer} lines={12}>{(data) => <Matrix data={ordered(data)} shows={shows} rows={rows} columns={columns} />}</Answer>
    </>
  );
}

/** Labels that are numbers in their own order, others by size as they come; unknown last. */
function ordered(data) {
  const order = (labels) => {
    const at = labels.map((_, index) => index);
    const known = at.filter((index) => labels[index] !== null);
    if (known.every((index) => typeof labels[index] === 'number')) known.sort((a, b) => labels[a] - labels[b]);
    return [...known.slice(0, SHOWN_MAX), ...at.filter((index) => labels[index] === null)];
  };
  const [rows, columns] = [order(data.rows), order(data.columns)];
  const pick = (from, by) => by.map((index) => from[index]);
  return {
    rows: pick(data.rows, rows), columns: pick(data.columns, columns), hidden: data.rows.length - rows.length + data.columns.length - columns.length,
    counts: rows.map((row) => pick(data.counts[row], columns)), row_totals: pick(data.row_totals, rows), column_totals: pick(data.column_totals, columns),
  };
}

function Matrix({ data, shows, rows, columns }) {
  const { people, addRules, counts } = usePage();
  const whole = counts.total || 1;
  const type = (tag) => people.fields.find(({ name }) => name === tag)?.type;
  const cell = (r, c) => {
    const n = data.counts[r][c];
    if (shows === 'row') return n / (data.row_totals[r] || 1);
    if (shows === 'column') return n / (data.column_totals[c] || 1);
    if (shows === 'index') return (100 * n * whole) / (data.row_totals[r] * data.column_totals[c] || 1);
    return n;
  };
  const values = data.rows.map((_, r) => data.columns.map((__, c) => cell(r, c)));
  const largest = Math.max(...values.flat(), 1e-9);
  const heat = (v) => (shows === 'index' ? Math.min(1, Math.abs(Math.log2(Math.max(v, 1) / 100)) / 2) : v / largest);
  const shown = (v) => (shows === 'count' ? count(v) : shows === 'index' ? Math.round(v) : percent(v));
  return (
    <div class="scroll">
      <table class="heat">
        <thead><tr><th class="muted">{rows} \ {columns}</th>{data.columns.map((name) => <th key={name} class="num">{label(name)}</th>)}<th class="num muted">all</th></tr></thead>
        <tbody>
          {data.rows.map((name, r) => (
            <tr key={name}>
              <th scope="row">{label(name)}</th>
              {data.columns.map((other, c) => (
                <td key={other} class={shows === 'index' && values[r][c] < 100 ? 'is-low' : ''}>
                  <button type="button" class="cell num" style={{ '--heat': heat(values[r][c]) }} title={`${label(name)} and ${label(other)}: ${count(data.counts[r][c])} people`}
                    onClick={() => addRules(ruleFor(rows, type(rows), name), ruleFor(columns, type(columns), other))}>{shown(values[r][c])}</button>
                </td>
              ))}
              <td class="num muted">{count(data.row_totals[r])}</td>
            </tr>
          ))}
        </tbody>
        <tfoot><tr><th class="muted">all</th>{data.column_totals.map((n, c) => <td key={data.columns[c]} class="num muted">{count(n)}</td>)}<td class="num muted">{count(counts.total)}</td></tr></tfoot>
      </table>
      {data.hidden > 0 && <p class="muted">{count(data.hidden)} more rows and columns are not shown.</p>}
    </div>
  );
}

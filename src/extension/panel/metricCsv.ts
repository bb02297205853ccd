import type { Row } from '../../../webview/protocol.ts';
import type { MetricSeries } from './metricSeries.ts';

/** What the table and the plot show, as comma-separated values (RFC 4180). */

const RUN_COLUMNS = [
  'run',
  'operation',
  'status',
  'outcome',
  'attempts',
  'started',
  'finished',
  'duration_ms',
  'metric',
  'printed',
  'command',
];

export function runsCsv(columns: readonly string[], rows: readonly Row[]): string {
  const header = [...RUN_COLUMNS.slice(0, 2), ...columns, ...RUN_COLUMNS.slice(2)];
  return lines([
    header,
    ...rows.map(row => [
      row.number,
      row.id,
      ...row.labels,
      row.status,
      row.outcome,
      row.attempts,
      instant(row.started),
      instant(row.finished),
      row.started === null || row.finished === null ? '' : row.finished - row.started,
      row.metric ?? '',
      row.printed,
      row.title,
    ]),
  ]);
}

/** Every printed value, one a line; `printed` says which of a run's values it is. */
export function seriesCsv(
  columns: readonly string[],
  rows: readonly Row[],
  series: (id: string) => MetricSeries | undefined,
): string {
  return lines([
    ['run', 'operation', ...columns, 'printed', 'metric'],
    ...rows.flatMap(row =>
      (series(row.id)?.points() ?? []).map(([at, value]) => [row.number, row.id, ...row.labels, at, value]),
    ),
  ]);
}

const instant = (time: number | null): string => (time === null ? '' : new Date(time).toISOString());

function lines(rows: readonly (readonly (string | number)[])[]): string {
  return rows.map(row => `${row.map(cell).join(',')}\r\n`).join('');
}

/** A text that a spreadsheet would take for a formula stays a text. */
function cell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const safe = /^[=@\t\r]|^[+-](?![\d.])/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

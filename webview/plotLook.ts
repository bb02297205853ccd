import type { PlotChoice, Snapshot } from './protocol.ts';

export const PRINTED = '(printed)';

/** As the plot is drawn: nothing left to choose. */
export interface PlotLook {
  readonly x: string;
  readonly color: string;
  readonly logX: boolean;
  readonly logY: boolean;
}

/** As chosen, else over the parameter with most values, coloured by the next; logarithmic where values differ by far. */
export function plotLook(chosen: PlotChoice, { columns, rows, series }: Snapshot): PlotLook {
  const values = (column: string) => new Set(rows.map(row => row.labels[columns.indexOf(column)])).size;
  const byValues = columns.toSorted((a, b) => values(b) - values(a));
  const known = chosen.x === PRINTED || chosen.x === 'run' || columns.includes(chosen.x);
  const x = known ? chosen.x : (byValues[0] ?? 'run');
  const others = byValues.filter(column => column !== x && values(column) > 1);
  const color = columns.includes(chosen.color) || chosen.color === '' ? chosen.color : (others[0] ?? '');
  const plotted =
    x === PRINTED
      ? series.flatMap(({ points }) => points.map(([, value]) => value))
      : rows.flatMap(({ metric }) => (metric === null ? [] : [metric]));
  const across = columns.includes(x) ? rows.map(row => Number(row.labels[columns.indexOf(x)])) : [];
  return { x, color, logX: chosen.logX ?? isWide(across), logY: chosen.logY ?? isWide(plotted) };
}

const WIDE = 200;

/** All above 0 and of very different sizes. */
function isWide(values: readonly number[]): boolean {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const value of values) {
    if (!(value > 0)) return false;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return high / low > WIDE;
}

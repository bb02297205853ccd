import { type Goal, type Row, timesBetter } from './row.ts';

export interface Miss {
  readonly goal: number;
  readonly title: string;
  readonly reason: string;
}

/** The floor program's p50 on the machine where the goals were set. */
const FLOOR_THEN_MS = 2.7;

/** Times in goals hold on the machine where they were set; `slowness` says how many times slower the kernel is here. */
export function slowness(floorMs: number | undefined): number {
  return floorMs === undefined ? 1 : Math.max(1, floorMs / FLOOR_THEN_MS);
}

/** The goals that these rows miss. A goal about a line that was not measured is missed too: silence is no success. */
export function missedGoals(rows: readonly Row[], slower = 1): readonly Miss[] {
  return rows.flatMap(row =>
    row.goals.flatMap(goal => {
      const reason = objection(row, goal, slower);
      return reason === undefined ? [] : [{ goal: row.goal, title: row.title, reason }];
    }),
  );
}

function objection(row: Row, goal: Goal, slower: number): string | undefined {
  const line = row.lines.find(({ name }) => name === goal.line);
  if (!line) return `${goal.line}: not measured`;
  if ('atMost' in goal) {
    const allowed = row.unit === 'ms' ? goal.atMost * slower : goal.atMost;
    return line.p50 <= allowed ? undefined : `${line.name}: ${round(line.p50)} ${row.unit}, goal ≤ ${round(allowed)}`;
  }
  if ('atLeast' in goal)
    return line.p50 >= goal.atLeast
      ? undefined
      : `${line.name}: ${round(line.p50)} ${row.unit}, goal ≥ ${goal.atLeast}`;
  const other = row.lines.find(({ name }) => name === goal.betterThan);
  if (!other) return `${goal.betterThan}: not measured, so nothing to compare ${goal.line} with`;
  const factor = timesBetter(row.unit, line, other);
  if (factor >= goal.times) return undefined;
  return `${line.name}: ${round(factor)} × better than ${other.name}, goal ≥ ${goal.times} ×`;
}

/** Goals missed each time: noise passes, a loss stays. */
export function missedAlways(attempts: readonly (readonly Miss[])[]): readonly Miss[] {
  const [first = [], ...others] = attempts;
  const same = (a: Miss, b: Miss) => a.goal === b.goal && a.title === b.title && subject(a) === subject(b);
  return first.filter(miss => others.every(attempt => attempt.some(again => same(miss, again))));
}

const subject = (miss: Miss) => miss.reason.split(':')[0];

function round(value: number): number {
  return Number(value.toPrecision(3));
}

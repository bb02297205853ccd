import { isDeepStrictEqual } from 'node:util';
import { type Goal, isMeasured, type Line, type Row, timesBetter } from './row.ts';

export interface Miss {
  readonly goal: number;
  readonly title: string;
  /** Which of the row's goals. */
  readonly missed: Goal;
  readonly reason: string;
}

/** The floor program's p50 on the machine where the goals were set. */
export const FLOOR_THEN_MS = 2.7;

/** Times in goals hold on the machine where they were set; `slowness` says how many times slower the kernel is here. */
export function slowness(floorMs: number | undefined): number {
  return floorMs === undefined ? 1 : Math.max(1, floorMs / FLOOR_THEN_MS);
}

export interface Verdict {
  readonly goal: Goal;
  /** What is asked for, on this machine. */
  readonly asked: string;
  /** undefined: reached. */
  readonly objection: string | undefined;
}

/** The goals that these rows miss. A goal about a line that was not measured is missed too: silence is no success. */
export function missedGoals(rows: readonly Row[], slower = 1): readonly Miss[] {
  return rows.flatMap(row =>
    verdicts(row, slower).flatMap(({ goal, objection }) =>
      objection === undefined ? [] : [{ goal: row.goal, title: row.title, missed: goal, reason: objection }],
    ),
  );
}

export function verdicts(row: Row, slower: number): readonly Verdict[] {
  return row.goals.map(goal => {
    const asked = askedOf(row, goal, slower);
    const line = measured(row, goal.line);
    return { goal, asked, objection: typeof line === 'string' ? line : objection(row, goal, line, slower) };
  });
}

function askedOf(row: Row, goal: Goal, slower: number): string {
  if ('atMost' in goal) return `≤ ${round(allowed(row, goal.atMost, slower))} ${row.unit}`;
  if ('atLeast' in goal) return `≥ ${goal.atLeast} ${row.unit}`;
  return `≥ ${round(goal.times)} × ${goal.betterThan}`;
}

const allowed = (row: Row, atMost: number, slower: number) => (row.unit === 'ms' ? atMost * slower : atMost);

function objection(row: Row, goal: Goal, line: Line, slower: number): string | undefined {
  const value = `${line.name}: ${round(line.p50)} ${row.unit}`;
  if ('atMost' in goal) {
    const most = allowed(row, goal.atMost, slower);
    return line.p50 <= most ? undefined : `${value}, goal ≤ ${round(most)}`;
  }
  if ('atLeast' in goal) return line.p50 >= goal.atLeast ? undefined : `${value}, goal ≥ ${goal.atLeast}`;
  const other = measured(row, goal.betterThan);
  if (typeof other === 'string') return `${other}, so nothing to compare ${goal.line} with`;
  const factor = timesBetter(row.unit, line, other);
  if (factor >= goal.times) return undefined;
  return `${line.name}: ${round(factor)} × better than ${other.name}, goal ≥ ${round(goal.times)} ×`;
}

/** The line, or why there is none. */
function measured(row: Row, name: string): Line | string {
  const line = row.lines.find(each => each.name === name);
  if (!line) return `${name}: not measured`;
  return isMeasured(line) ? line : `${name}: not measured, ${line.absent}`;
}

/** Goals missed each time: noise passes, a loss stays. */
export function missedAlways(attempts: readonly (readonly Miss[])[]): readonly Miss[] {
  const [first = [], ...others] = attempts;
  return first.filter(miss => others.every(attempt => attempt.some(again => isSameGoal(miss, again))));
}

const isSameGoal = (a: Miss, b: Miss) =>
  a.goal === b.goal && a.title === b.title && isDeepStrictEqual(a.missed, b.missed);

function round(value: number): number {
  return Number(value.toPrecision(3));
}

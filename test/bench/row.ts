/** What a benchmark says: rows of lines, one line for each thing that did the same work in the same run. */

export type Unit = 'ms' | 'runs/s' | 'KB' | 'MB' | 'levels';

interface Named {
  readonly name: string;
  readonly kind: 'floor' | 'peer' | 'ours';
  /** What holds the code in, for no two lines isolate alike. */
  readonly isolation: string;
}

export interface Line extends Named {
  readonly p50: number;
  readonly p95: number;
  readonly samples: number;
}

/** What could not do the work here: it is told with its reason, never left out. */
export interface Absent extends Named {
  readonly absent: string;
}

/** A promise of PERFORMANCE.md, column "goal now", about one line of the row. */
export type Goal =
  /** In the row's unit, on a machine as fast as the one where goals were set; a slower one gets more, by its floor. */
  | { readonly line: string; readonly atMost: number }
  | { readonly line: string; readonly atLeast: number }
  /** So many times better than another line: the part of a goal that does not depend on the machine. */
  | { readonly line: string; readonly times: number; readonly betterThan: string };

export interface Row {
  /** Number in PERFORMANCE.md. */
  readonly goal: number;
  readonly title: string;
  readonly unit: Unit;
  readonly lines: readonly (Line | Absent)[];
  readonly goals: readonly Goal[];
  /** How it was measured. */
  readonly notes: readonly string[];
}

export const isMeasured = (line: Line | Absent): line is Line => !('absent' in line);

export function lineOf(name: string, kind: Line['kind'], isolation: string, samples: readonly number[]): Line {
  if (samples.length === 0) throw new Error(`${name}: nothing was measured`);
  return {
    name,
    kind,
    isolation,
    p50: percentile(samples, 0.5),
    p95: percentile(samples, 0.95),
    samples: samples.length,
  };
}

export function percentile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}

/** More is better for rates and depths, less for times and sizes. */
export function isMoreBetter(unit: Unit): boolean {
  return unit === 'runs/s' || unit === 'levels';
}

/** How many times better `line` is than `other`. */
export function timesBetter(unit: Unit, line: Line, other: Line): number {
  const [ours, theirs] = isMoreBetter(unit) ? [other.p50, line.p50] : [line.p50, other.p50];
  // A difference of two runs below this is noise, and no reason for a boast.
  return theirs / Math.max(ours, 0.1);
}

import { type Absent, type Line, lineOf } from './row.ts';

/** One way to do the work of a row, or why it cannot be done here. */
export type Contender = Able | Absent;

export interface Able {
  readonly name: string;
  readonly kind: Line['kind'];
  readonly isolation: string;
  /** Does the work once and answers what it took, in the row's unit. */
  readonly once: () => Promise<number>;
  /** Turns to sit out of ten: slow peers need fewer samples. */
  readonly skips?: number;
}

/** All contenders in turn, A B C A B C, so that a change in the machine's load meets all alike. First turns are thrown away. */
export async function measure(
  contenders: readonly Contender[],
  turns: number,
  warmUps = 3,
): Promise<readonly (Line | Absent)[]> {
  const samples = new Map<Contender, number[]>();
  const failures = new Map<Contender, string>();
  for (let turn = -warmUps; turn < turns; turn++) {
    for (const contender of contenders) {
      if ('absent' in contender || failures.has(contender)) continue;
      if (turn >= 0 && sitsOut(turn, contender.skips ?? 0)) continue;
      try {
        const taken = await contender.once();
        if (turn >= 0) samples.set(contender, [...(samples.get(contender) ?? []), taken]);
      } catch (error) {
        // A tool that does not work on this machine is told of; ours has to work.
        if (contender.kind === 'ours') throw error;
        failures.set(contender, reasonOf(error));
      }
    }
  }
  return contenders.map(contender => {
    if ('absent' in contender) return contender;
    const { name, kind, isolation } = contender;
    const failure = failures.get(contender);
    if (failure !== undefined) return { name, kind, isolation, absent: failure };
    return lineOf(name, kind, isolation, samples.get(contender) ?? []);
  });
}

/** Never the first, and the others evenly among them. */
function sitsOut(turn: number, skips: number): boolean {
  const takes = 10 - skips;
  return (turn * takes) % 10 >= takes;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** One line of it, without the folders of this machine. */
export function reasonOf(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return `it failed: ${line.replaceAll(/(?:\/[^\s/:=]+)+\//g, '').slice(0, 200)}`;
}

import { type Line, lineOf } from './row.ts';

/** One way to do the work of a row. */
export interface Contender {
  readonly name: string;
  readonly kind: Line['kind'];
  readonly isolation: string;
  /** Does the work once and answers what it took, in the row's unit. */
  readonly once: () => Promise<number>;
  /** Turns to sit out of ten: slow peers need fewer samples. */
  readonly skips?: number;
}

/** All contenders in turn, A B C A B C, so that a change in the machine's load meets all alike. First turns are thrown away. */
export async function measure(contenders: readonly Contender[], turns: number, warmUps = 3): Promise<readonly Line[]> {
  const samples = new Map(contenders.map(contender => [contender, [] as number[]]));
  for (let turn = -warmUps; turn < turns; turn++) {
    for (const contender of contenders) {
      if (turn > 0 && turn % 10 < (contender.skips ?? 0)) continue;
      const taken = await contender.once();
      if (turn >= 0) samples.get(contender)!.push(taken);
    }
  }
  return contenders.map(contender =>
    lineOf(contender.name, contender.kind, contender.isolation, samples.get(contender)!),
  );
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

import type { SandboxError } from './errors.ts';
import type { OperationRef } from './operationRef.ts';

type Values<Refs extends readonly OperationRef<unknown>[]> = {
  -readonly [N in keyof Refs]: Refs[N] extends OperationRef<infer T> ? T : never;
};
export type Outcome<T> =
  | { readonly status: 'fulfilled'; readonly value: T }
  | { readonly status: 'rejected'; readonly reason: SandboxError };
type Outcomes<Refs extends readonly OperationRef<unknown>[]> = {
  -readonly [N in keyof Refs]: Refs[N] extends OperationRef<infer T> ? Outcome<T> : never;
};

/** The values of all, in their order. They run side by side; the first failure, in that order, is thrown. */
function values<const Refs extends readonly OperationRef<unknown>[]>(refs: Refs): Values<Refs> {
  return refs.map(ref => ref.get()) as Values<Refs>;
}

/** How each of them ended; throws none of their errors. */
function settled<const Refs extends readonly OperationRef<unknown>[]>(refs: Refs): Outcomes<Refs> {
  return refs.map(ref => {
    let outcome: Outcome<unknown> | undefined;
    const take = () =>
      ref.whenSettled(end => {
        outcome =
          'error' in end ? { status: 'rejected', reason: end.error } : { status: 'fulfilled', value: end.value };
      });
    take();
    if (outcome) return outcome;
    try {
      return { status: 'fulfilled', value: ref.get() };
    } catch (error) {
      // What is not the work's own failure, as Ctrl-C, is nobody's result.
      if (!outcome) throw error;
      return outcome;
    }
  }) as Outcomes<Refs>;
}

/** `results(refs)` blocks for all values; `results.settled(refs)` for all ends. */
export const results = Object.assign(values, { settled });

async function valuesLater<const Refs extends readonly OperationRef<unknown>[]>(refs: Refs): Promise<Values<Refs>> {
  return (await Promise.all(refs)) as Values<Refs>;
}

async function settledLater<const Refs extends readonly OperationRef<unknown>[]>(refs: Refs): Promise<Outcomes<Refs>> {
  return (await Promise.allSettled(refs)) as Outcomes<Refs>;
}

/** The same, awaited. */
export const resultsLater = Object.assign(valuesLater, { settled: settledLater });

import { invalid } from './errors.ts';
import { OperationRef } from './operationRef.ts';

export interface WaitOptions {
  /** As soon as so many are over. Default: all. */
  readonly numReturns?: number;
  /** At the latest. Default: as long as it takes. */
  readonly timeoutMs?: number;
}

export interface Waited<T> {
  /** In the order they were given. */
  readonly done: T[];
  readonly pending: T[];
}

/** Blocks until so many are over, however that came. None of their errors is thrown: ask each. */
export function wait<T extends OperationRef<unknown>>(refs: readonly T[], options: WaitOptions = {}): Waited<T> {
  OperationRef.blockFor(refs, wanted(refs, options), deadlineOf(options));
  return parted(refs);
}

/** The same, awaited. */
export async function waitLater<T extends OperationRef<unknown>>(
  refs: readonly T[],
  options: WaitOptions = {},
): Promise<Waited<T>> {
  const count = wanted(refs, options);
  const { promise, resolve } = Promise.withResolvers<void>();
  let over = 0;
  for (const ref of refs) {
    ref.hold();
    ref.whenSettled(() => {
      over++;
      if (over >= count) resolve();
    });
  }
  if (count === 0) resolve();
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(resolve, options.timeoutMs);
  await promise;
  clearTimeout(timer);
  return parted(refs);
}

function wanted(refs: readonly unknown[], { numReturns = refs.length }: WaitOptions): number {
  if (!Number.isInteger(numReturns) || numReturns < 0 || numReturns > refs.length)
    throw invalid('numReturns', `is a whole number up to ${refs.length}, not ${numReturns}`);
  return numReturns;
}

function deadlineOf({ timeoutMs }: WaitOptions): number {
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
}

function parted<T extends OperationRef<unknown>>(refs: readonly T[]): Waited<T> {
  return { done: refs.filter(ref => ref.done), pending: refs.filter(ref => !ref.done) };
}

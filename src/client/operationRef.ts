import type { SandboxError } from './errors.ts';
import {
  asSandboxError,
  GetTimeoutError,
  OperationCancelledError,
  sandboxError,
  WouldDeadlockError,
} from './errors.ts';
import type { JobName, JobOutcome, JobParams, JobResult } from './jobs/jobs.ts';
import type { Link, StartedJob } from './link.ts';

export type OperationState = 'pending' | 'done' | 'failed' | 'cancelled';
/** @internal */
export type Settled<T> = { readonly value: T } | { readonly error: SandboxError };

export interface GetOptions {
  /** After so long `GetTimeoutError`; the work goes on. Default: as long as it takes. */
  readonly timeoutMs?: number;
}

/** @internal What a ref is about. */
export interface RefAbout {
  readonly link: Link;
  /** Names it in errors, as `exec`. */
  readonly what: string;
  readonly sandboxId?: string | undefined;
}

/** @internal */
export interface RefParts<T> extends RefAbout {
  /** Begins the work. */
  readonly begin: (settle: (outcome: Settled<T>) => void) => StartedJob;
  /** Why it cannot go on while this thread is held, if so. */
  readonly needsLoop?: () => string | undefined;
}

/**
 * Work that was begun: `.get()` blocks for its value, `await` waits for it. Both may be used, in any order and as often as
 * one likes: always the same value or the same error. A failure that nobody asks for harms nobody.
 */
export class OperationRef<T> implements PromiseLike<T> {
  readonly #parts: RefParts<T>;
  readonly #job: StartedJob;
  #settled: Settled<T> | undefined;
  /** Each for a `Settled<T>`. */
  #listeners: ((outcome: Settled<never>) => void)[] = [];
  #promise: Promise<T> | undefined;
  #thrown = false;

  /** @internal Made by the SDK's own methods. */
  constructor(parts: RefParts<T>) {
    this.#parts = parts;
    this.#job = parts.begin(outcome => this.#settle(outcome));
  }

  /** @internal A ref for a job; `map` makes its value of the job's. */
  static job<J extends JobName, T>(
    about: RefAbout,
    job: J,
    params: JobParams<J>,
    map: (result: JobResult<J>) => T,
  ): OperationRef<T> {
    const begin = (settle: (outcome: Settled<T>) => void) =>
      about.link.start(job, params, outcome => settle(mapped(outcome, map, about.sandboxId)));
    return new OperationRef<T>({ ...about, begin });
  }

  /** Blocks until there is a value or an error. */
  get({ timeoutMs }: GetOptions = {}): T {
    const { link, what, sandboxId } = this.#parts;
    if (!this.#settled) {
      const reason = this.#parts.needsLoop?.();
      if (reason !== undefined && link.blocking) {
        link.poll();
        if (!this.#settled) throw wouldDeadlock(what, reason, sandboxId);
      }
      const deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
      if (!link.block(what, () => this.#settled !== undefined, deadline)) {
        throw new GetTimeoutError('timeout', `${what}: no result within ${timeoutMs} ms; it goes on`, {
          fix: 'Ask again, with a larger timeoutMs or none.',
          sandboxId,
        });
      }
    }
    return this.#take(this.#settled!);
  }

  /** The same as `get`. */
  result(options: GetOptions = {}): T {
    return this.get(options);
  }

  // biome-ignore lint/suspicious/noThenProperty: it is what makes it awaitable.
  then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.hold();
    this.#promise ??= new Promise<T>((resolve, reject) => {
      this.whenSettled(outcome => ('error' in outcome ? reject(outcome.error) : resolve(outcome.value)));
    });
    return this.#promise.then(onValue, onError);
  }

  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onError);
  }

  finally(onEnd?: (() => void) | null): Promise<T> {
    return this.then().finally(onEnd);
  }

  /** It is over: `get` does not block any more. */
  get done(): boolean {
    if (!this.#settled) this.#parts.link.poll();
    return this.#settled !== undefined;
  }

  get state(): OperationState {
    if (!this.done) return 'pending';
    if ('value' in this.#settled!) return 'done';
    return this.#settled!.error instanceof OperationCancelledError ? 'cancelled' : 'failed';
  }

  /** Ends the work where that is possible; false: it was over already. */
  cancel(): boolean {
    if (this.done) return false;
    this.#job.cancel();
    const { what, sandboxId } = this.#parts;
    this.#settle({ error: new OperationCancelledError('cancelled', `${what} was cancelled`, { sandboxId }) });
    return true;
  }

  /** @internal Keeps the program from ending before it is over. */
  hold(): void {
    if (!this.#settled) this.#job.hold();
  }

  /** @internal Calls the listener when it is over, at once when it is already. */
  whenSettled(listener: (outcome: Settled<T>) => void): void {
    if (this.#settled) listener(this.#settled);
    else this.#listeners.push(listener);
  }

  /** @internal Blocks until so many of them are over, or the deadline has passed. */
  static blockFor(refs: readonly OperationRef<unknown>[], count: number, deadline: number): void {
    const over = () => refs.filter(ref => ref.#settled).length >= count;
    if (over() || refs.length === 0) return;
    for (const ref of refs) {
      const reason = ref.#settled ? undefined : ref.#parts.needsLoop?.();
      if (reason !== undefined) throw wouldDeadlock(ref.#parts.what, reason, ref.#parts.sandboxId);
    }
    refs[0]!.#parts.link.block('wait', over, deadline);
  }

  #settle(outcome: Settled<T>): void {
    if (this.#settled) return;
    this.#settled = outcome;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) (listener as (outcome: Settled<T>) => void)(outcome);
  }

  #take(outcome: Settled<T>): T {
    if ('value' in outcome) return outcome.value;
    if (!this.#thrown) Error.captureStackTrace(outcome.error, this.get);
    this.#thrown = true;
    throw outcome.error;
  }
}

function mapped<J extends JobName, T>(
  outcome: JobOutcome<J>,
  map: (result: JobResult<J>) => T,
  sandboxId: string | undefined,
): Settled<T> {
  if ('error' in outcome) return { error: sandboxError(outcome.error, sandboxId) };
  try {
    return { value: map(outcome.value) };
  } catch (error) {
    return { error: asSandboxError(error, sandboxId) };
  }
}

function wouldDeadlock(what: string, reason: string, sandboxId: string | undefined): WouldDeadlockError {
  return new WouldDeadlockError('would_deadlock', `${what}: .get() would never end: ${reason}`, {
    fix: 'Use await.',
    sandboxId,
  });
}

import { createContext, Script } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { InterruptedError } from '../core.ts';

/** Until then a signal may come late; most answers are there before. */
const SHORT_MS = 10;
/** So often a long wait looks whether the bridge still lives. */
export const SLICE_MS = 100;

/** Holds this thread until the word in shared memory changes, and lets Ctrl-C through. */
export class HeldThread {
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #word: number;
  #slice: (() => void) | undefined;
  #expected = 0;
  #milliseconds = 0;

  constructor(control: Int32Array<SharedArrayBuffer>, word: number) {
    this.#control = control;
    this.#word = word;
  }

  /** false: nothing changed within so long. `short` waits are the first of many. */
  wait(expected: number, milliseconds: number, short: boolean): boolean {
    // Signals come to the main thread alone.
    const plain = !isMainThread || (short && process.listenerCount('SIGINT') === 0);
    const limit = Math.min(milliseconds, plain && isMainThread ? SHORT_MS : SLICE_MS);
    if (plain) return Atomics.wait(this.#control, this.#word, expected, limit) !== 'timed-out';
    this.#expected = expected;
    this.#milliseconds = limit;
    try {
      this.#interruptible()();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_INTERRUPTED') throw error;
      throw interrupted();
    }
    return Atomics.load(this.#control, this.#word) !== expected;
  }

  /** Only a script of `vm` ends at Ctrl-C while it runs. */
  #interruptible(): () => void {
    if (!this.#slice) {
      const wait = () => Atomics.wait(this.#control, this.#word, this.#expected, this.#milliseconds);
      const context = createContext({ wait });
      const script = new Script('wait()', { filename: 'coppice:wait' });
      this.#slice = () => void script.runInContext(context, { breakOnSigint: true });
    }
    return this.#slice;
  }
}

/** Listeners of the program's own were not asked while the thread was held: they are now. */
function interrupted(): InterruptedError {
  process.emit('SIGINT', 'SIGINT');
  return new InterruptedError('interrupted', 'interrupted by Ctrl-C; the work goes on', {
    fix: 'Ask again, or stop the sandbox.',
  });
}

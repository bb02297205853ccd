import { setImmediate } from 'node:timers/promises';

/** How long one walk may hold up everything else in the host. */
const sliceMs = 4;

/** For long synchronous walks: `await slices.pause()` often; it only gives way when its time is over. */
export class TimeSlices {
  readonly #signal: AbortSignal | undefined;
  #since = performance.now();

  constructor(signal?: AbortSignal) {
    this.#signal = signal;
  }

  /** undefined when there is time left, so that most calls cost nothing. */
  pause(): Promise<void> | undefined {
    return performance.now() - this.#since < sliceMs ? undefined : this.#giveWay();
  }

  async #giveWay(): Promise<void> {
    await setImmediate();
    this.#signal?.throwIfAborted();
    this.#since = performance.now();
  }
}

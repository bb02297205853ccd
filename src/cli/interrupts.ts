/** A terminal sends Ctrl-C to us and to whoever started us, who may pass it on: so soon after the first it is the same one. */
const SAME_PRESS_MS = 200;

/** Ctrl-C and its relatives: the first asks the command to stop, the second leaves at once. */
export class Interrupts {
  readonly #controller = new AbortController();
  #handler: (() => void) | undefined;

  /** Aborted by the first interrupt. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  listen(process: NodeJS.Process): void {
    let last = Number.NEGATIVE_INFINITY;
    const interrupted = (): void => {
      const now = performance.now();
      if (now - last < SAME_PRESS_MS) return;
      last = now;
      if (this.signal.aborted) process.exit(130);
      this.#controller.abort();
      if (this.#handler) this.#handler();
      else process.exit(130);
    };
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, interrupted);
  }

  /** While `work` goes on, an interrupt is left to it; otherwise it ends the process. */
  async during<T>(handler: () => void, work: () => Promise<T>): Promise<T> {
    const outer = this.#handler;
    this.#handler = handler;
    try {
      return await work();
    } finally {
      this.#handler = outer;
    }
  }
}

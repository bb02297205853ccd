import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { WorkerAnswer, WorkerRequest } from './metricWorker.ts';

/** How long a pattern may take for one piece of output. */
const PATIENCE_MS = 2_000;

export class SlowPattern extends Error {}

/** A pattern at work on output, in a thread of its own that is ended when the pattern does not come to an end. */
export class MetricThread {
  readonly #pattern: { readonly pattern: string; readonly group: string };
  readonly #waiting = new Map<number, { resolve(values: readonly number[]): void; reject(reason: unknown): void }>();
  #worker: Worker | undefined;
  #request = 0;
  #broken: Error | undefined;

  constructor(pattern: string, group: string) {
    this.#pattern = { pattern, group };
  }

  feed(stream: string, text: string, end: boolean): Promise<readonly number[]> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (!this.#worker) this.#start();
    return this.#ask({ request: ++this.#request, kind: 'feed', stream, text, end });
  }

  dispose(): void {
    this.#end(new Error('the metric was changed'));
  }

  #start(): void {
    const worker = new Worker(path.join(import.meta.dirname, 'metric-worker.js'));
    this.#worker = worker;
    worker.on('message', ({ request, values }: WorkerAnswer) => {
      this.#waiting.get(request)?.resolve(values);
      this.#waiting.delete(request);
    });
    worker.on('error', error => this.#end(error));
    worker.unref();
    worker.postMessage({ request: 0, kind: 'pattern', ...this.#pattern } satisfies WorkerRequest);
  }

  async #ask(request: WorkerRequest): Promise<readonly number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly number[]>();
    this.#waiting.set(request.request, { resolve, reject });
    const slow = new SlowPattern(
      'This pattern takes too long. Make it simpler: nested repetitions like (a+)+ never end.',
    );
    // Others before it have the same patience, so that only the one that hangs counts.
    const timer = setTimeout(() => this.#end(slow), PATIENCE_MS * this.#waiting.size);
    this.#worker!.postMessage(request);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #end(reason: Error): void {
    this.#broken ??= reason;
    void this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(this.#broken);
    this.#waiting.clear();
  }
}

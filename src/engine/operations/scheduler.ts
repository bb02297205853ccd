/**
 * Decides what runs when: at most `concurrency` jobs at once, in turn between clients, so that one who queues a hundred
 * does not starve another's single one; within one client first come, first served.
 */
export class Scheduler {
  readonly #concurrency: number;
  readonly #queues = new Map<string, Job[]>();
  #running = 0;

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.length;
    return count;
  }

  /** Resolves when the job has run. A job that is aborted while it waits never starts: the promise rejects with the reason. */
  schedule<T>(client: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const start = () => {
        signal.removeEventListener('abort', drop);
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running--;
            this.#startNext();
          });
      };
      const job: Job = { start };
      const drop = () => {
        this.#drop(client, job);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', drop, { once: true });
      const queue = this.#queues.get(client);
      if (queue) queue.push(job);
      else this.#queues.set(client, [job]);
      this.#startNext();
    });
  }

  #startNext(): void {
    while (this.#running < this.#concurrency) {
      const next = this.#queues.entries().next().value;
      if (!next) return;
      const [client, queue] = next;
      const job = queue.shift()!;
      // To the back of the line: the map's order is whose turn it is.
      this.#queues.delete(client);
      if (queue.length > 0) this.#queues.set(client, queue);
      this.#running++;
      job.start();
    }
  }

  #drop(client: string, job: Job): void {
    const queue = this.#queues.get(client);
    const at = queue?.indexOf(job) ?? -1;
    if (!queue || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#queues.delete(client);
  }
}

interface Job {
  readonly start: () => void;
}

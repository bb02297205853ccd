/** Jobs that belong together: at most `limit` of them run at once, whoever queued them. */
export interface JobGroup {
  readonly id: string;
  /** The latest given counts; without any the group has none of its own. */
  readonly limit?: number | undefined;
}

/**
 * Decides what runs when: at most `concurrency` jobs at once, in turn between clients, so that one who queues a hundred
 * does not starve another's single one; within one client first come, first served, except that jobs of a group that is
 * full let others pass.
 */
export class Scheduler {
  readonly #concurrency: number;
  readonly #queues = new Map<string, Job[]>();
  readonly #groups = new Map<string, Group>();
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
  schedule<T>(client: string, signal: AbortSignal, work: () => Promise<T>, of?: JobGroup): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const group = of && this.#join(of);
      const start = () => {
        signal.removeEventListener('abort', drop);
        this.#running++;
        if (group) group.running++;
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running--;
            if (group) group.running--;
            this.#leave(group);
            this.#startNext();
          });
      };
      const job: Job = { start, group };
      const drop = () => {
        this.#drop(client, job);
        this.#leave(group);
        reject(signal.reason);
      };
      signal.addEventListener('abort', drop, { once: true });
      const queue = this.#queues.get(client);
      if (queue) queue.push(job);
      else this.#queues.set(client, [job]);
      this.#startNext();
    });
  }

  #join({ id, limit }: JobGroup): Group {
    const group = this.#groups.get(id) ?? { id, limit: Number.POSITIVE_INFINITY, running: 0, members: 0 };
    group.limit = limit ?? group.limit;
    group.members++;
    this.#groups.set(id, group);
    return group;
  }

  /** A group is known for as long as one of it waits or runs. */
  #leave(group: Group | undefined): void {
    if (group && --group.members === 0) this.#groups.delete(group.id);
  }

  #startNext(): void {
    while (this.#running < this.#concurrency) {
      const job = this.#takeNext();
      if (!job) return;
      job.start();
    }
  }

  #takeNext(): Job | undefined {
    for (const [client, queue] of this.#queues) {
      const at = queue.findIndex(({ group }) => !group || group.running < group.limit);
      if (at < 0) continue;
      const [job] = queue.splice(at, 1);
      // To the back of the line: the map's order is whose turn it is.
      this.#queues.delete(client);
      if (queue.length > 0) this.#queues.set(client, queue);
      return job;
    }
    return undefined;
  }

  #drop(client: string, job: Job): void {
    const queue = this.#queues.get(client);
    const at = queue?.indexOf(job) ?? -1;
    if (!queue || at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) this.#queues.delete(client);
  }
}

interface Group {
  readonly id: string;
  limit: number;
  running: number;
  members: number;
}

interface Job {
  readonly start: () => void;
  readonly group: Group | undefined;
}

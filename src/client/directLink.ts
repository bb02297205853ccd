import { BlockingNotAllowedError } from './core.ts';
import { EngineDoor } from './jobs/engineDoor.ts';
import type { JobName, JobOutcome, JobParams } from './jobs/jobs.ts';
import { Performer } from './jobs/performer.ts';
import { holdsByItself, type Link, type StartedJob } from './link.ts';
import type { EngineLocation } from './startEngine.ts';

/** The way to the engine from this very thread: nothing ever blocks. */
export class DirectLink implements Link {
  readonly blocking = false;
  readonly #door: EngineDoor;
  readonly #performer: Performer;

  constructor(location: EngineLocation) {
    this.#door = new EngineDoor(location);
    this.#performer = new Performer(this.#door);
  }

  start<J extends JobName>(job: J, params: JobParams<J>, settled: (outcome: JobOutcome<J>) => void): StartedJob {
    const controller = new AbortController();
    const holding = new Set<object>();
    const hold = () => {
      if (holding.size === 0) holding.add(this.#door.hold());
    };
    const release = () => {
      for (const each of holding) this.#door.release(each);
    };
    if (holdsByItself(job, params)) hold();
    void this.#performer.perform(job, params, controller.signal).finally(release).then(settled);
    return { cancel: () => controller.abort(), hold };
  }

  poll(): void {}

  block(what: string): never {
    throw new BlockingNotAllowedError('blocking_not_allowed', `${what}: coppice/async never blocks`, {
      fix: `Write await instead of .get(), or import from 'coppice'.`,
    });
  }

  /** The engine ends them when the connection closes. */
  owns(): void {}

  close(): void {
    this.#door.close();
  }
}

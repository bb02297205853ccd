import type { JobName, JobOutcome, JobParams } from './jobs/jobs.ts';

/** A job that was begun. */
export interface StartedJob {
  cancel(): void;
  /** Keeps the program from ending before it is over. */
  hold(): void;
}

/** Those that may go on for ever hold the program only when somebody waits for them; what changes something always does. */
export function holdsByItself(job: JobName, params: JobParams<JobName>): boolean {
  if (job === 'exec' || job === 'output' || job === 'logs') return false;
  return job !== 'verb' || (params as JobParams<'verb'>).verb !== 'wait_sandbox';
}

/** The way from the objects that people hold to the engine. */
export interface Link {
  /** false: `block` is never allowed. */
  readonly blocking: boolean;
  /** Begins at once. `settled` is called once, in this thread, and never before this has returned. */
  start<J extends JobName>(job: J, params: JobParams<J>, settled: (outcome: JobOutcome<J>) => void): StartedJob;
  /** Takes what has arrived, without waiting. */
  poll(): void;
  /** Holds this thread until `done`, or the deadline (by `performance.now()`) has passed: then false. `what` names it in errors. */
  block(what: string, done: () => boolean, deadline: number): boolean;
  /** Sandboxes that end with this program, and those that need no more care. */
  owns(sandboxId: string, owned: boolean): void;
}

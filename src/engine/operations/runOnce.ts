import { randomUUID } from 'node:crypto';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ProcessExit, RuntimeSandbox } from '../../runtimes/runtime.ts';
import type { Job } from './operations.ts';

export interface OneRun {
  readonly exit: ProcessExit;
  readonly changed: boolean;
  /** What was kept; undefined when nothing changed or nothing was to be kept. */
  readonly kept: { readonly uuid: string; readonly data: unknown; readonly size: number | null } | undefined;
  readonly timedOut: boolean;
  readonly notes: readonly string[];
}

/** One command in one sandbox: made or found again, run, kept or thrown away, removed. */
export async function runOnce(
  open: () => Promise<RuntimeSandbox>,
  job: Job,
  options: { readonly keep: boolean; readonly deadline: AbortSignal },
): Promise<OneRun> {
  job.signal.throwIfAborted();
  const sandbox = await open();
  try {
    const { exit, timedOut } = await untilExit(sandbox, job, options.deadline);
    job.signal.throwIfAborted();
    const notes = sandbox.notes ?? [];
    if (!options.keep) return { exit, timedOut, notes, changed: await sandbox.changed(), kept: undefined };
    const uuid = randomUUID();
    const commit = await sandbox.commit(uuid);
    return {
      exit,
      timedOut,
      notes,
      changed: commit.changed,
      kept: commit.changed ? { uuid, data: commit.data, size: commit.size } : undefined,
    };
  } finally {
    await sandbox.remove();
  }
}

async function untilExit(
  sandbox: RuntimeSandbox,
  job: Job,
  deadline: AbortSignal,
): Promise<{ readonly exit: ProcessExit; readonly timedOut: boolean }> {
  let timedOut = false;
  const { promise: unstoppable, reject } = Promise.withResolvers<never>();
  // Nobody may be waiting for it any more.
  unstoppable.catch(() => undefined);
  const stop = () => {
    sandbox
      .stop()
      .catch(cause => reject(new CoppiceError('internal', `sandbox ${sandbox.id} could not be stopped`, { cause })));
  };
  const expire = () => {
    timedOut = true;
    stop();
  };
  job.attach(sandbox.main);
  job.signal.addEventListener('abort', stop, { once: true });
  deadline.addEventListener('abort', expire, { once: true });
  if (job.signal.aborted) stop();
  if (deadline.aborted) expire();
  try {
    // A process that cannot be stopped may never exit; its operation ends all the same.
    const exit = await Promise.race([sandbox.main.exited, unstoppable]);
    return { exit, timedOut };
  } finally {
    job.signal.removeEventListener('abort', stop);
    deadline.removeEventListener('abort', expire);
  }
}

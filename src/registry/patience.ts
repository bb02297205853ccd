import { setTimeout as sleep } from 'node:timers/promises';
import { TemporaryTrouble } from './registryErrors.ts';

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** Who asks for a longer pause is told to us instead of waited for. */
const LONGEST_ASKED_MS = 30_000;

/** Tries again what may pass by itself, with longer and longer pauses; says in the end what it was. */
export async function patiently<T>(attempts: number, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let failed = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TemporaryTrouble)) throw error;
      failed++;
      const wait = pause(failed, error.retryAfterMs);
      if (failed >= attempts || wait === undefined) throw error.final;
      await sleep(wait, undefined, { signal });
    }
  }
}

/** undefined: too long to wait. What is asked for counts; else many clients that were cut off together come back at different times. */
export function pause(failed: number, asked: number | undefined): number | undefined {
  if (asked !== undefined && asked > LONGEST_ASKED_MS) return undefined;
  const own = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failed - 1)) * (0.5 + Math.random() / 2);
  return asked === undefined ? own : Math.max(asked, FIRST_WAIT_MS / 2);
}

import { setTimeout as sleep } from 'node:timers/promises';

// `COPPICE_BENCH_DELAY_MS` makes everything of ours slower, to see the check fail.

const delay = () => Number(process.env.COPPICE_BENCH_DELAY_MS ?? 0);

export async function injectedDelay(): Promise<void> {
  if (delay() > 0) await sleep(delay());
}

/** The same, with the event loop held. */
export function injectedHold(): void {
  for (const end = performance.now() + delay(); performance.now() < end; );
}

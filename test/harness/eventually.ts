import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is neither undefined nor false; fails with `what` after `seconds`. */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  seconds = 30,
): Promise<Exclude<T, undefined | false>> {
  for (const deadline = Date.now() + seconds * 1000; ; await sleep(20)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (Date.now() > deadline) throw new Error(`after ${seconds} s still not: ${what}`);
  }
}

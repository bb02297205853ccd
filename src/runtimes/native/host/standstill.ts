import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { CoppiceError } from '../../../protocol/errors.ts';

/** Stopped, being traced, or dead: whoever is in such a state calls no kernel. */
const still = new Set(['T', 't', 'Z', 'X']);
const patienceMs = 5000;

/**
 * Stops every process of a sandbox where no cgroup can: known by their pid namespace, which they cannot leave. Resolves
 * when none of their threads runs any more, with what lets those go on that we stopped.
 */
export async function standStill(sandbox: string, pid: number): Promise<() => void> {
  const namespace = pidNamespace(String(pid));
  const stopped: number[] = [];
  const goOn = () => {
    // Children first: a parent that goes on before them would take note that they had stopped.
    for (const pid of stopped.toSorted((a, b) => b - a)) signal(pid, 'SIGCONT');
  };
  const until = performance.now() + patienceMs;
  try {
    for (;;) {
      const running = members(namespace).filter(pid => !threadsAreStill(pid));
      if (running.length === 0) return goOn;
      if (performance.now() > until) throw restless(sandbox);
      for (const pid of running.filter(pid => !stopped.includes(pid))) {
        signal(pid, 'SIGSTOP');
        stopped.push(pid);
      }
      await pause(1);
    }
  } catch (error) {
    goOn();
    throw error;
  }
}

function members(namespace: string | undefined): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && namespace !== undefined && pidNamespace(name) === namespace)
    .map(Number);
}

/** undefined: it ended meanwhile. */
function pidNamespace(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

function threadsAreStill(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every(thread => still.has(stateOf(`/proc/${pid}/task/${thread}/stat`)));
  } catch {
    // It ended while it was looked at: the next look tells.
    return false;
  }
}

function stateOf(file: string): string {
  const stat = readFileSync(file, 'utf8');
  // After the name, which may hold anything and ends with the last bracket.
  return stat.charAt(stat.lastIndexOf(')') + 2);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function restless(sandbox: string): CoppiceError {
  return new CoppiceError('conflict', `${sandbox} could not be brought to a standstill, so its files were not copied`, {
    fix: 'Try again, or stop it first: what a stopped sandbox wrote can be kept as well.',
  });
}

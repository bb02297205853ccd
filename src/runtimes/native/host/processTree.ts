import { readdirSync, readFileSync } from 'node:fs';

interface Entry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
}

/**
 * SIGKILL to a process, everything below it and everything of its session. All are stopped before any is killed:
 * what is stopped starts nothing, and what was found is not lost when its parent dies.
 */
export function killTree(root: number): void {
  const stopped = new Set<number>();
  for (let found = members(root, stopped); found.length > 0; found = members(root, stopped)) {
    for (const pid of found) {
      signal(pid, 'SIGSTOP');
      stopped.add(pid);
    }
  }
  for (const pid of stopped) signal(pid, 'SIGKILL');
}

/** Those of the tree that are not known yet. */
function members(root: number, known: ReadonlySet<number>): number[] {
  const all = processes();
  const tree = new Set([root, ...known]);
  for (let before = 0; before !== tree.size; ) {
    before = tree.size;
    for (const { pid, parent, session } of all) if (session === root || tree.has(parent)) tree.add(pid);
  }
  return [...tree].filter(pid => !known.has(pid));
}

function processes(): Entry[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => entryOf(name) ?? []);
}

/** undefined: it ended meanwhile. */
function entryOf(pid: string): Entry | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // After the name, which may hold anything and ends with the last bracket: state, parent, group, session.
  const [, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid: Number(pid), parent: Number(parent), session: Number(session) };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

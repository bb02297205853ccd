import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RunningProcess {
  readonly pid: number;
  /** Its arguments, joined by blanks. */
  readonly command: string;
}

/** Every process below this one, whatever namespaces it is in. */
export function descendants(pid: number): readonly RunningProcess[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (each: number): number[] => (children.get(each) ?? []).flatMap(child => [child, ...below(child)]);
  return below(pid).map(each => ({ pid: each, command: commandOf(each) }));
}

export function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readProc(pid, 'status'));
}

function parentOf(pid: string): number | undefined {
  const parent = /^PPid:\s+(\d+)/m.exec(readProc(Number(pid), 'status'))?.[1];
  return parent === undefined ? undefined : Number(parent);
}

export function commandOf(pid: number): string {
  return readProc(pid, 'cmdline').replaceAll('\0', ' ').trim();
}

/** Empty when it ended meanwhile. */
function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** MB in memory. */
export function residentMemory(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readProc(pid, 'status'))?.[1] ?? 0) / 1024;
}

/** MB of a process and all below it, shared pages counted by their share. */
export function treeMemory(pid: number): number {
  const all = [pid, ...descendants(pid).map(each => each.pid)];
  const kilobytes = all.map(each => Number(/^Pss:\s+(\d+)/m.exec(readProc(each, 'smaps_rollup'))?.[1] ?? 0));
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024;
}

/** Processes whose arguments, or whose root, lie in a folder. */
export function processesNaming(folder: string): readonly number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter(pid => readProc(pid, 'cmdline').includes(`${folder}/`) || rootOf(pid).includes(`${folder}/`));
}

/** Where a process's root comes from: of a container, the layers of its daemon. */
export function rootOf(pid: number): string {
  const mounts = readProc(pid, 'mountinfo').split('\n');
  return mounts.find(line => line.split(' ')[4] === '/') ?? '';
}

export async function killAllNaming(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    if (killOnceNaming(folder) === 0) return;
    await sleep(50);
  }
}

/** Answers how many there were, for where nothing can be awaited. */
export function killOnceNaming(folder: string): number {
  const left = processesNaming(folder);
  for (const pid of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return left.length;
}

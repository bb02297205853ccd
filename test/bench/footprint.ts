import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Bytes of disk below a folder, as allocated. */
export function diskUsage(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    bytes += lstatSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0;
  return bytes * 512;
}

/** MB of a process and all its descendants, shared pages counted by their share. */
export function processTreeMemory(pid: number): number {
  const kilobytes = [pid, ...descendants(pid)].map(each => {
    try {
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
    } catch {
      return 0; // It ended meanwhile.
    }
  });
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024;
}

/** Every process below this one. */
export function descendants(pid: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    const parent = parentOf(name);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const below = (each: number): number[] => (children.get(each) ?? []).flatMap(child => [child, ...below(child)]);
  return below(pid);
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
  } catch {
    return undefined;
  }
}

import * as fs from 'node:fs';
import * as path from 'node:path';
import { TimeSlices } from './timeSlices.ts';

/** Bytes on disk of the regular files of a tree, each inode once. Gives way to others while it walks. */
export async function treeSize(root: string): Promise<number> {
  const linked = new Set<number>();
  const pending = [root];
  let size = 0;
  const slices = new TimeSlices();
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const place = path.join(folder, entry.name);
      if (entry.isDirectory()) pending.push(place);
      else if (entry.isFile()) size += bytesOf(place, linked);
    }
    const pause = slices.pause();
    if (pause) await pause;
  }
  return size;
}

function bytesOf(file: string, linked: Set<number>): number {
  // A name that is not UTF-8 cannot be looked up by its text.
  const stats = fs.lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (stats.nlink > 1) {
    if (linked.has(stats.ino)) return 0;
    linked.add(stats.ino);
  }
  return stats.blocks * 512;
}

import { entriesOf, look } from './bytePaths.ts';
import { TimeSlices } from './timeSlices.ts';

/** Names of an inode seen so far, when one tree after another is counted. */
export type SeenLinks = Map<number, number>;

/**
 * Bytes on disk of the regular files of a tree. `whole`: an inode counts once, when its first name is seen; `freed`:
 * when its last is, because with a name left elsewhere nothing is freed. Gives way to others while it walks.
 */
export async function treeSize(root: string, count: 'whole' | 'freed', links: SeenLinks = new Map()): Promise<number> {
  const pending = [root];
  let size = 0;
  const slices = new TimeSlices();
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of entriesOf(folder)) {
      const place = `${folder}/${entry.name}`;
      if (entry.isDirectory()) pending.push(place);
      else if (entry.isFile()) size += bytesOf(place, count, links);
    }
    const pause = slices.pause();
    if (pause) await pause;
  }
  return size;
}

/** The same for a tree of few entries; null as soon as there are more: then it is counted when nobody waits. */
export function smallTreeSize(root: string, mostEntries: number): number | null {
  const pending = [root];
  const links: SeenLinks = new Map();
  let size = 0;
  let seen = 0;
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    const entries = entriesOf(folder);
    seen += entries.length;
    if (seen > mostEntries) return null;
    for (const entry of entries) {
      const place = `${folder}/${entry.name}`;
      if (entry.isDirectory()) pending.push(place);
      else if (entry.isFile()) size += bytesOf(place, 'whole', links);
    }
  }
  return size;
}

function bytesOf(file: string, count: 'whole' | 'freed', links: SeenLinks): number {
  const stats = look(file);
  if (stats === undefined) return 0;
  if (stats.nlink > 1) {
    const seen = (links.get(stats.ino) ?? 0) + 1;
    links.set(stats.ino, seen);
    if (seen !== (count === 'whole' ? 1 : stats.nlink)) return 0;
  }
  return stats.blocks * 512;
}

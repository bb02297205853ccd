import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** Bytes of disk below a folder, as allocated. What vanishes meanwhile is cleared away behind, and counts no more. */
export function diskUsage(folder: string): number {
  let blocks = 0;
  for (const entry of entriesOf(folder)) {
    const place = path.join(folder, entry.name);
    blocks += lstatSync(place, { throwIfNoEntry: false })?.blocks ?? 0;
    if (entry.isDirectory()) blocks += diskUsage(place) / 512;
  }
  return blocks * 512;
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

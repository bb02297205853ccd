import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** Bytes of disk below a folder, as allocated. */
export function diskUsage(folder: string): number {
  let blocks = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    blocks += lstatSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0;
  return blocks * 512;
}

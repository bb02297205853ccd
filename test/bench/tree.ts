import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { random } from '../harness/randomTree.ts';

const PER_FOLDER = 20;

/** A tree like a project's: twenty files to a folder, of 2 KB in the median and 4 KB in the mean, always the same ones. */
export function makeTree(root: string, count: number): string {
  const next = random(1);
  for (let n = 0; n < count; n++) {
    const folder = path.join(root, `d${Math.floor(n / (PER_FOLDER * 20))}`, `s${Math.floor(n / PER_FOLDER) % 20}`);
    if (n % PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
    const size = Math.min(200_000, Math.floor(Math.exp(7.6 + 1.2 * normal(next))));
    writeFileSync(path.join(folder, `f${n}.ts`), bytes(size, next));
  }
  return root;
}

/** Box and Muller's. */
const normal = (next: () => number): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());

function bytes(size: number, next: () => number): Buffer {
  const made = Buffer.allocUnsafe(size + 4);
  for (let at = 0; at < size; at += 4) made.writeUInt32LE(Math.floor(next() * 2 ** 32), at);
  return made.subarray(0, size);
}

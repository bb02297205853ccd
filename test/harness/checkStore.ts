import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseStored } from '../../src/engine/sync/tree.ts';

/** Every blob is what its name says, and every state has all its folders and files. Answers how many states there are. */
export function checkStore(home: string): number {
  const blobs = checkBlobs(path.join(home, 'blobs'));
  const database = new DatabaseSync(path.join(home, 'store', 'coppice.db'), { readOnly: true });
  try {
    const find = database.prepare('SELECT entries FROM trees WHERE object = ?');
    const seen = new Set<string>();
    const visit = (object: string, state: string) => {
      if (seen.has(object)) return;
      seen.add(object);
      const row = find.get(object) as { entries: Uint8Array } | undefined;
      assert.ok(row, `${state} lacks the folder ${object}`);
      for (const entry of parseStored(Buffer.from(row.entries).toString('latin1'))) {
        if (entry.kind === 'folder') visit(entry.value, state);
        else if (entry.kind === 'file')
          assert.equal(blobs.get(entry.value), entry.size, `${state} lacks ${entry.name}`);
      }
    };
    const states = database.prepare('SELECT id, object FROM states').all() as { id: string; object: string }[];
    for (const { id, object } of states) visit(object, id);
    return states.length;
  } finally {
    database.close();
  }
}

/** Sizes by hash. */
function checkBlobs(folder: string): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const prefix of readdirSync(folder).filter(name => name.length === 2))
    for (const name of readdirSync(path.join(folder, prefix))) {
      const { sha256, size } = read(path.join(folder, prefix, name));
      assert.equal(sha256, name, 'a blob is what its name says');
      sizes.set(name, size);
    }
  return sizes;
}

function read(file: string): { readonly sha256: string; readonly size: number } {
  const fd = openSync(file, 'r');
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(1 << 20);
    let size = 0;
    for (let got = readSync(fd, buffer); got > 0; got = readSync(fd, buffer)) {
      hash.update(buffer.subarray(0, got));
      size += got;
    }
    return { sha256: hash.digest('hex'), size };
  } finally {
    closeSync(fd);
  }
}

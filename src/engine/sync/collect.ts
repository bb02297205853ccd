import { readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { parseStored } from './tree.ts';

export interface Collected {
  readonly states: number;
  readonly blobs: number;
  readonly bytes: number;
}

/** A blob this young may belong to an upload that is not written down yet. */
const YOUNG_MS = 3_600_000;

export interface CollectOptions {
  readonly before: number;
  readonly now: number;
  /** Root objects of states that may not be written down yet: kept with all that is in them. */
  readonly fresh: Iterable<string>;
  /** Called before the first thing goes. */
  readonly onLoss: () => void;
}

/**
 * Drops directory states that nothing has named since `before`, then folder objects and blobs that no state and no uploaded
 * file needs. Runs where syncs run, between two of them, so that none counts on what is going.
 */
export function collect(database: DatabaseSync, home: string, options: CollectOptions): Collected {
  const { states, needed } = sweepRecords(database, options);
  const loose = looseBlobs(path.join(home, 'blobs'), needed, options.now);
  if (loose.length > 0) options.onLoss();
  return { states, ...removeAll(loose) };
}

function sweepRecords(
  database: DatabaseSync,
  options: CollectOptions,
): { readonly states: number; readonly needed: Set<string> } {
  database.exec('BEGIN IMMEDIATE');
  try {
    const states = dropStates(database, options.before, options.now);
    const needed = sweepTrees(database, options.fresh);
    for (const row of database.prepare('SELECT sha256 FROM files').all() as { sha256: string }[])
      needed.add(row.sha256);
    if (states > 0) options.onLoss();
    database.exec('COMMIT');
    return { states, needed };
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** What is dropped is remembered by name and source, so that whoever asks for it learns what became of it. */
function dropStates(database: DatabaseSync, before: number, now: number): number {
  const unused = `used_at < ?1
    AND NOT EXISTS (SELECT 1 FROM operations WHERE directory_state_id = states.id AND created_at >= ?1)
    AND NOT EXISTS (SELECT 1 FROM operations JOIN images ON images.operation_id = operations.id AND images.removed_at IS NULL WHERE directory_state_id = states.id)`;
  database
    .prepare(
      `INSERT OR REPLACE INTO collected_states (id, source, at) SELECT id, source, ?2 FROM states WHERE ${unused}`,
    )
    .run(before, now);
  return Number(database.prepare(`DELETE FROM states WHERE ${unused}`).run(before).changes);
}

/** Answers the hashes of all files that the remaining states hold. */
function sweepTrees(database: DatabaseSync, fresh: Iterable<string>): Set<string> {
  const find = database.prepare('SELECT entries FROM trees WHERE object = ?');
  const folders = new Set<string>();
  const files = new Set<string>();
  const states = database.prepare('SELECT object FROM states').all() as { object: string }[];
  const waiting = [...states.map(row => row.object), ...fresh];
  for (let object = waiting.pop(); object !== undefined; object = waiting.pop()) {
    if (folders.has(object)) continue;
    folders.add(object);
    const row = find.get(object) as { entries: Uint8Array } | undefined;
    if (!row) continue;
    for (const entry of parseStored(Buffer.from(row.entries).toString('latin1'))) {
      if (entry.kind === 'folder') waiting.push(entry.value);
      else if (entry.kind === 'file') files.add(entry.value);
    }
  }
  const remove = database.prepare('DELETE FROM trees WHERE object = ?');
  for (const { object } of database.prepare('SELECT object FROM trees').all() as { object: string }[]) {
    if (!folders.has(object)) remove.run(object);
  }
  return files;
}

function looseBlobs(folder: string, needed: ReadonlySet<string>, now: number): string[] {
  const loose: string[] = [];
  for (const prefix of readdirSync(folder)) {
    if (prefix.length !== 2) continue;
    for (const sha256 of readdirSync(path.join(folder, prefix))) {
      const blob = path.join(folder, prefix, sha256);
      if (!needed.has(sha256) && statSync(blob).ctimeMs <= now - YOUNG_MS) loose.push(blob);
    }
  }
  return loose;
}

function removeAll(blobs: readonly string[]): Pick<Collected, 'blobs' | 'bytes'> {
  let bytes = 0;
  for (const blob of blobs) {
    const stats = statSync(blob);
    rmSync(blob);
    // Another name of it may live on in a tree that is laid out.
    if (stats.nlink === 1) bytes += stats.size;
  }
  return { blobs: blobs.length, bytes };
}

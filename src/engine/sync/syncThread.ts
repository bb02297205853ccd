import { createHash, randomUUID } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';
import { CoppiceError, type WireError } from '../../protocol/errors.ts';
import { fromText } from '../../workspace/bytePath.ts';
import { Excludes } from '../../workspace/excludes.ts';
import { applyChanges } from './applyChanges.ts';
import { type Collected, collect } from './collect.ts';
import { canLieOver, layOut, layOutDifference } from './stateTree.ts';
import { type BlobFolder, storeFile } from './storeFile.ts';
import {
  compareTrees,
  type FolderNode,
  makeFolder,
  parseStored,
  type StoredEntry,
  stateId,
  storedText,
} from './tree.ts';
import { top, type Walk, walkFolder } from './walk.ts';

/**
 * Everything of sync that reads or writes many files, on a thread of its own: synchronous calls are three times as fast as
 * awaited ones, and block nobody here. Keeps the last tree of every synced folder, in memory and beside the store.
 */

export interface SyncRequest {
  readonly source: string;
  readonly destination: string;
  readonly exclude: readonly string[];
  readonly gitignore: boolean;
  readonly defaultExcludes: boolean;
  readonly owner: string | undefined;
  /** undefined: everything is looked at. */
  readonly changed: readonly string[] | undefined;
  /** Shared numbers, see `SHARED`. */
  readonly shared: SharedArrayBuffer;
}

/** What both threads see of a sync that goes on: 1 in `stop` ends it, `files` counts those that were read. */
export const SHARED = { stop: 0, files: 1, length: 2 } as const;

export interface SyncOutcome {
  readonly id: `ds-${string}`;
  readonly object: string;
  readonly mode: number;
  readonly mtime: number;
  readonly files: number;
  readonly bytes: number;
  readonly added: number;
  readonly modified: number;
  readonly deleted: number;
  readonly written: number;
  readonly skipped: number;
  readonly unchanged: boolean;
  /** true: the changed paths did not serve (first sync since the engine started), everything was looked at. */
  readonly walked: boolean;
}

export interface LayOutRequest {
  readonly object: string;
  readonly folder: string;
  readonly mode: number;
  readonly mtime: number;
  readonly earlier: { readonly folder: string; readonly object: string } | undefined;
  /** What differs from the earlier tree will do, where it can lie over that. */
  readonly overEarlier: boolean;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** The files will be given to somebody else: none may be shared. */
  readonly copy: boolean;
}

export type WorkerValue = SyncOutcome | Collected | boolean | null;
export type WorkerRequest = { readonly call: number } & (
  | { readonly sync: SyncRequest }
  | { readonly layOut: LayOutRequest }
  | { readonly collectBefore: number }
  | { readonly flush: true }
);
export type WorkerAnswer = { readonly call: number } & (
  | { readonly value: WorkerValue }
  | { readonly error: WireError }
);

interface Known {
  readonly root: FolderNode;
  readonly at: number;
  /** By an engine before this one: what changed meanwhile nobody watched. */
  readonly loaded: boolean;
}

const CACHE_VERSION = 3;
/** By then a state is written down, or never will be. */
const FRESH_MS = 3_600_000;

export class SyncThread {
  readonly #home: string;
  readonly #database: DatabaseSync;
  readonly #blobs: BlobFolder;
  readonly #known = new Map<string, Known>();
  readonly #unsaved = new Set<string>();
  /** Objects of states that may not be written down yet, with when they were made. */
  readonly #fresh = new Map<string, number>();
  readonly #homeStats: { readonly dev: number; readonly ino: number };

  constructor(home: string) {
    this.#home = home;
    this.#homeStats = lstatSync(home);
    this.#database = new DatabaseSync(path.join(home, 'store', 'coppice.db'));
    this.#database.exec('PRAGMA busy_timeout=10000; PRAGMA synchronous=NORMAL;');
    this.#blobs = blobFolder(home);
    mkdirSync(path.join(home, 'sync'), { recursive: true, mode: 0o700 });
  }

  answer(request: WorkerRequest): WorkerValue {
    if ('sync' in request) return this.sync(request.sync);
    if ('collectBefore' in request) return this.collect(request.collectBefore);
    if ('layOut' in request) return this.layOut(request.layOut);
    this.save();
    return null;
  }

  sync(request: SyncRequest): SyncOutcome {
    const key = createHash('sha256')
      .update(JSON.stringify([request.source, request.exclude, request.gitignore, request.defaultExcludes]))
      .digest('hex');
    const known = this.#known.get(key) ?? this.#load(key);
    const shared = new Int32Array(request.shared);
    const walk: Walk = {
      source: fromText(request.source),
      blobs: this.#blobs,
      leaveOut: this.#homeStats,
      written: 0,
      skipped: 0,
      read: () => Atomics.add(shared, SHARED.files, 1),
      signal: {
        get aborted() {
          return Atomics.load(shared, SHARED.stop) === 1;
        },
      },
    };
    const excludes = Excludes.root({
      defaults: request.defaultExcludes,
      gitignore: request.gitignore,
      exclude: request.exclude,
    });
    // A clock that went back makes every time in the cache doubtful.
    const trusted = known !== undefined && known.at <= Date.now();
    const incremental = trusted && !known.loaded && request.changed !== undefined;
    const before = known?.root;
    const root = incremental
      ? applyChanges(walk, known.root, excludes, request.changed.map(fromText))
      : this.#walk(walk, trusted ? before : undefined, excludes);
    if (!root) throw new CoppiceError('path_not_found', `the folder is gone: ${request.source}`, { field: 'source' });
    const id = stateId(root, request.destination, request.owner);
    this.#keepObjects(root, known?.loaded ? undefined : known?.root);
    this.#known.set(key, { root, at: Date.now(), loaded: false });
    if (root !== before) this.#unsaved.add(key);
    this.#fresh.set(root.stored, Date.now());
    return {
      id,
      object: root.stored,
      mode: root.mode,
      mtime: root.mtime,
      files: root.files,
      bytes: root.bytes,
      ...compareTrees(before, root),
      written: walk.written,
      skipped: walk.skipped,
      unchanged: before?.identity === root.identity && before.mode === root.mode,
      walked: !incremental,
    };
  }

  /** A single file as source is a folder with that one file in it. */
  #walk(walk: Walk, before: FolderNode | undefined, excludes: Excludes): FolderNode | undefined {
    const stats = lstatSync(Buffer.from(walk.source, 'latin1'), { throwIfNoEntry: false });
    if (!stats?.isFile()) return walkFolder(walk, top(walk), before, excludes);
    const stored = storeFile(walk.source, walk.source, walk.blobs, walk.signal);
    if (!stored) return undefined;
    walk.written += stored.written;
    return makeFolder(0o755, stats.mtimeMs, [[walk.source.slice(walk.source.lastIndexOf('/') + 1), stored.node]], {});
  }

  /** Folders that the tree before had are in the store already. */
  #keepObjects(root: FolderNode, before: FolderNode | undefined): void {
    const insert = this.#database.prepare('INSERT OR IGNORE INTO trees (object, entries) VALUES (?, ?)');
    const keep = (folder: FolderNode, old: FolderNode | undefined) => {
      if (folder.stored === old?.stored) return;
      for (const [name, node] of folder.entries) {
        const oldNode = old?.entries.get(name);
        if (node.kind === 'folder') keep(node, oldNode?.kind === 'folder' ? oldNode : undefined);
      }
      insert.run(folder.stored, Buffer.from(storedText(folder.entries), 'latin1'));
    };
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      keep(root, before);
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** What the caches vouch for may go: they go first, so that a crash in between leaves none that is wrong. */
  collect(before: number, now = Date.now()): Collected {
    for (const [object, at] of this.#fresh) if (at < now - FRESH_MS) this.#fresh.delete(object);
    return collect(this.#database, this.#home, {
      before,
      now,
      fresh: this.#fresh.keys(),
      onLoss: () => this.#forget(),
    });
  }

  #forget(): void {
    this.#known.clear();
    this.#unsaved.clear();
    const folder = path.join(this.#home, 'sync');
    for (const name of readdirSync(folder)) rmSync(path.join(folder, name));
  }

  /** Was it laid whole? */
  layOut(request: LayOutRequest): boolean {
    const find = this.#database.prepare('SELECT entries FROM trees WHERE object = ?');
    const entries = (object: string): StoredEntry[] => {
      const row = find.get(object) as { entries: Uint8Array } | undefined;
      if (!row) throw new Error(`the store has no folder object ${object}`);
      return parseStored(Buffer.from(row.entries).toString('latin1'));
    };
    const { object, folder, mode, mtime, earlier, owner, copy } = request;
    const source = { entries, blobs: this.#blobs, owner, copy };
    const over =
      request.overEarlier && earlier !== undefined && canLieOver(entries, earlier.object, object)
        ? earlier.object
        : undefined;
    if (over !== undefined) layOutDifference(source, over, object, folder, { mode, mtime });
    else layOut(source, object, folder, { mode, mtime }, copy ? undefined : earlier);
    return over === undefined;
  }

  #cacheFile(key: string): string {
    return path.join(this.#home, 'sync', `${key}.cache`);
  }

  /** A cache that cannot be read is as good as none: everything is read again. */
  #load(key: string): Known | undefined {
    try {
      const { version, root, at } = deserialize(readFileSync(this.#cacheFile(key))) as Known & { version: number };
      return version === CACHE_VERSION ? { root, at, loaded: true } : undefined;
    } catch {
      return undefined;
    }
  }

  /** Writes the trees that changed, so that the next engine need not read every file again. */
  save(): void {
    for (const key of this.#unsaved) {
      const known = this.#known.get(key);
      if (!known) continue;
      const file = this.#cacheFile(key);
      writeFileSync(`${file}.new`, serialize({ version: CACHE_VERSION, root: known.root, at: known.at }), {
        mode: 0o600,
      });
      renameSync(`${file}.new`, file);
    }
    this.#unsaved.clear();
  }

  close(): void {
    this.save();
    this.#database.close();
  }
}

function blobFolder(home: string): BlobFolder {
  const folder = path.join(home, 'blobs');
  const incoming = path.join(folder, 'incoming', randomUUID());
  let counter = 0;
  const made = new Set<string>();
  const place = (sha256: string) => `${folder}/${sha256.slice(0, 2)}/${sha256}`;
  return {
    has: sha256 => existsSync(place(sha256)),
    path: sha256 => {
      const prefix = sha256.slice(0, 2);
      if (!made.has(prefix)) {
        mkdirSync(`${folder}/${prefix}`, { recursive: true, mode: 0o700 });
        made.add(prefix);
      }
      return place(sha256);
    },
    incoming: () => `${incoming}-${++counter}`,
  };
}

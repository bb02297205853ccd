import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Blobs } from '../../../src/engine/store/blobs.ts';
import { Database } from '../../../src/engine/store/database.ts';
import { type SyncOutcome, SyncThread } from '../../../src/engine/sync/syncThread.ts';
import { parseStored } from '../../../src/engine/sync/tree.ts';
import { toText } from '../../../src/workspace/bytePath.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

/** Stores of a test's own, each with the thread that syncs into it. */
export class SyncStores {
  readonly #folder = new TemporaryFolder();
  readonly #threads: SyncThread[] = [];

  get base(): string {
    return this.#folder.path;
  }

  /** Opening a store again is what a later engine does. */
  open(name: string): SyncThread {
    const home = this.home(name);
    new Blobs(home);
    new Database(home).close();
    const thread = new SyncThread(home);
    this.#threads.push(thread);
    return thread;
  }

  home(name: string): string {
    return path.join(this.base, name);
  }

  close(): void {
    for (const thread of this.#threads) thread.close();
    this.#folder[Symbol.dispose]();
  }
}

export function sync(
  thread: SyncThread,
  source: string,
  changed?: readonly string[],
  more: Partial<Parameters<SyncThread['sync']>[0]> = {},
): SyncOutcome {
  return thread.sync({
    source,
    destination: '/app',
    exclude: [],
    gitignore: true,
    defaultExcludes: true,
    owner: undefined,
    changed,
    shared: new SharedArrayBuffer(8),
    ...more,
  });
}

/** Files and links of a state by path, in order, as the store has them. */
export function filesOf(home: string, root: string): string[] {
  const database = new DatabaseSync(path.join(home, 'store', 'coppice.db'), { readOnly: true });
  const find = database.prepare('SELECT entries FROM trees WHERE object = ?');
  const visit = (object: string, folder: string): string[] => {
    const { entries } = find.get(object) as { entries: Uint8Array };
    return parseStored(Buffer.from(entries).toString('latin1')).flatMap(entry => {
      const name = folder + toText(entry.name);
      return entry.kind === 'folder' ? visit(entry.value, `${name}/`) : [name];
    });
  };
  try {
    return visit(root, '').sort();
  } finally {
    database.close();
  }
}

export function layOut(
  thread: SyncThread,
  outcome: SyncOutcome,
  folder: string,
  earlier?: { folder: string; object: string },
): void {
  mkdirSync(folder, { recursive: true });
  const { object, mode, mtime } = outcome;
  thread.layOut({ object, folder, mode, mtime, earlier, overEarlier: false, owner: undefined, copy: false });
}

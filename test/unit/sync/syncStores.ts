import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Blobs } from '../../../src/engine/store/blobs.ts';
import { Database } from '../../../src/engine/store/database.ts';
import { type SyncOutcome, SyncThread } from '../../../src/engine/sync/syncThread.ts';
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

export function layOut(
  thread: SyncThread,
  outcome: SyncOutcome,
  folder: string,
  earlier?: { folder: string; object: string },
): void {
  mkdirSync(folder, { recursive: true });
  const { object, mode, mtime } = outcome;
  thread.layOut({ object, folder, mode, mtime, earlier, owner: undefined, copy: false });
}

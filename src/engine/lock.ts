import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Single instance per home. The lock is SQLite's own file lock, which the kernel drops with the process:
 * nothing can be left behind, and of any number of engines that start at once exactly one gets it.
 */
export class EngineLock {
  readonly #database: DatabaseSync;
  readonly #file: string;
  /** As long as we have it open no other file gets its number. */
  readonly #inode: bigint;

  private constructor(database: DatabaseSync, file: string) {
    this.#database = database;
    this.#file = file;
    this.#inode = statSync(file, { bigint: true }).ino;
  }

  static tryAcquire(home: string): EngineLock | undefined {
    const folder = path.join(home, 'engine');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = path.join(folder, 'lock.db');
    const database = new DatabaseSync(file);
    try {
      database.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;');
      return new EngineLock(database, file);
    } catch (error) {
      database.close();
      if (error instanceof Error && /locked|busy/i.test(error.message)) return undefined;
      throw error;
    }
  }

  /** False: the home was deleted under us, and perhaps made anew: whatever is there now is another engine's. */
  isInPlace(): boolean {
    try {
      return statSync(this.#file, { bigint: true, throwIfNoEntry: false })?.ino === this.#inode;
    } catch {
      return true; // A disk that does not answer for a moment is no reason to end what runs.
    }
  }

  release(): void {
    this.#database.close();
  }
}

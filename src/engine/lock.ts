import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * Single instance per home. The lock is SQLite's own file lock, which the kernel drops with the process:
 * nothing can be left behind, and of any number of engines that start at once exactly one gets it.
 */
export class EngineLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  static tryAcquire(home: string): EngineLock | undefined {
    const folder = path.join(home, 'engine');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(path.join(folder, 'lock.db'));
    try {
      database.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;');
      return new EngineLock(database);
    } catch (error) {
      database.close();
      if (error instanceof Error && /locked|busy/i.test(error.message)) return undefined;
      throw error;
    }
  }

  release(): void {
    this.#database.close();
  }
}

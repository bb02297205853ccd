import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { CoppiceError } from '../../protocol/errors.ts';
import { migrations } from './migrations.ts';

/**
 * The engine's records. A transaction is either whole on disk or not there, whenever the process dies (WAL);
 * with `synchronous=NORMAL` a power cut may lose the last moments, never the order.
 */
export class Database {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(home: string) {
    const folder = path.join(home, 'store');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#database = new DatabaseSync(path.join(folder, 'coppice.db'));
    this.#database.exec(
      'PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=5000;',
    );
    this.#migrate();
  }

  #migrate(): void {
    const version = (this.#database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
    if (version > migrations.length) {
      throw new CoppiceError(
        'version_mismatch',
        `the store was written by a newer version of Coppice (schema ${version}, this one knows ${migrations.length})`,
        {
          fix: 'Update Coppice.',
        },
      );
    }
    for (let next = version; next < migrations.length; next++) {
      this.#database.exec(`BEGIN; ${migrations[next]}; PRAGMA user_version=${next + 1}; COMMIT;`);
    }
  }

  run(sql: string, ...parameters: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...parameters).changes);
  }

  get<Row>(sql: string, ...parameters: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...parameters) as Row | undefined;
  }

  all<Row>(sql: string, ...parameters: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...parameters) as Row[];
  }

  /** All of it or nothing; synchronous, so nothing else comes between. */
  transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}

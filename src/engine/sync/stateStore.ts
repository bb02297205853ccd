import { CoppiceError } from '../../protocol/errors.ts';
import type { StateView } from '../../protocol/schemas/states.ts';
import type { Database } from '../store/database.ts';
import { parseStored, type StoredEntry } from './tree.ts';

export interface StateRecord {
  readonly id: string;
  readonly source: string;
  readonly destination: string;
  readonly owner: string | null;
  /** How the source was read, as JSON of `ExcludeOptions`. */
  readonly excludes: string;
  readonly object: string;
  readonly mode: number;
  readonly mtime: number;
  readonly files: number;
  readonly bytes: number;
  readonly created_at: number;
  readonly used_at: number;
}

/** The records of directory states. The first sync of an id writes it; whatever comes later only says that it was used. */
export class StateStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  keep(state: Omit<StateRecord, 'created_at' | 'used_at'>): StateRecord {
    const now = Date.now();
    this.#database.run(
      `INSERT INTO states (id, source, destination, owner, excludes, object, mode, mtime, files, bytes, created_at, used_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at, source = excluded.source`,
      state.id,
      state.source,
      state.destination,
      state.owner,
      state.excludes,
      state.object,
      state.mode,
      state.mtime,
      state.files,
      state.bytes,
      now,
      now,
    );
    return this.find(state.id);
  }

  lookUp(id: string): StateRecord | undefined {
    return this.#database.get<StateRecord>('SELECT * FROM states WHERE id = ?', id);
  }

  find(id: string): StateRecord {
    const state = this.lookUp(id);
    if (state) return state;
    const collected = this.#database.get<{ source: string }>('SELECT source FROM collected_states WHERE id = ?', id);
    if (collected) {
      throw new CoppiceError('state_collected', `directory state ${id} was not used for long and is no longer kept`, {
        field: 'directory_state_id',
        fix: `Sync ${collected.source} again.`,
        data: { directory_state_id: id, source: collected.source },
      });
    }
    throw new CoppiceError('state_not_found', `no directory state ${id}`, {
      field: 'directory_state_id',
      fix: 'Sync the folder: coppice sync.',
      data: { directory_state_id: id },
    });
  }

  /** All of a state's entries by path, folders included. */
  entries(state: StateRecord): Map<string, StoredEntry> {
    const found = new Map<string, StoredEntry>();
    const visit = (object: string, folder: string) => {
      for (const entry of this.folder(object)) {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        found.set(path, entry);
        if (entry.kind === 'folder') visit(entry.value, path);
      }
    };
    visit(state.object, '');
    return found;
  }

  folder(object: string): StoredEntry[] {
    const row = this.#database.get<{ entries: Uint8Array }>('SELECT entries FROM trees WHERE object = ?', object);
    if (!row)
      throw new CoppiceError(
        'state_collected',
        `a folder of this directory state is no longer in the store (${object.slice(0, 12)})`,
        { fix: 'Sync the folder again.' },
      );
    return parseStored(Buffer.from(row.entries).toString('latin1'));
  }

  touch(id: string): void {
    this.#database.run('UPDATE states SET used_at = ? WHERE id = ?', Date.now(), id);
  }

  list(source: string | undefined, limit: number): { readonly states: StateRecord[]; readonly total: number } {
    const where = source === undefined ? '' : 'WHERE source = ?';
    const values = source === undefined ? [] : [source];
    const { total } = this.#database.get<{ total: number }>(
      `SELECT count(*) AS total FROM states ${where}`,
      ...values,
    )!;
    return {
      states: this.#database.all<StateRecord>(
        `SELECT * FROM states ${where} ORDER BY used_at DESC, rowid DESC LIMIT ?`,
        ...values,
        limit,
      ),
      total,
    };
  }

  view(state: StateRecord): StateView {
    const { count } = this.#database.get<{ count: number }>(
      'SELECT count(*) AS count FROM operations WHERE directory_state_id = ?',
      state.id,
    )!;
    return {
      directory_state_id: state.id,
      source: state.source,
      destination: state.destination,
      files: state.files,
      bytes: state.bytes,
      created_at: new Date(state.created_at).toISOString(),
      used_at: new Date(state.used_at).toISOString(),
      operations: count,
    };
  }
}

import { CoppiceError } from '../../protocol/errors.ts';
import type { BranchResult, BranchView } from '../../protocol/schemas/branches.ts';
import type { EventBus } from '../eventBus.ts';
import type { Database } from '../store/database.ts';

interface Step {
  readonly position: number;
  readonly image: string;
  readonly operation_id: string | null;
  readonly at: number;
}

/**
 * Branches: named pointers that walk along a history which only ever grows. Going back moves the position; a new image
 * after that is written at the end, behind a second mention of where it started from, so that back is always true.
 */
export class BranchStore {
  readonly #database: Database;
  readonly #events: EventBus;

  constructor(database: Database, events: EventBus) {
    this.#database = database;
    this.#events = events;
  }

  exists(name: string): boolean {
    return this.#database.get('SELECT 1 AS found FROM branches WHERE name = ?', name) !== undefined;
  }

  head(name: string): string {
    return this.#current(name).image;
  }

  names(): string[] {
    return this.#database.all<{ name: string }>('SELECT name FROM branches ORDER BY name').map(row => row.name);
  }

  /** The branch checked out for a folder. */
  checkedOut(workspace: string): string | undefined {
    return this.#database.get<{ branch: string }>('SELECT branch FROM checkouts WHERE workspace = ?', workspace)
      ?.branch;
  }

  checkOut(workspace: string, branch: string | null): void {
    const before = this.checkedOut(workspace);
    if (branch === null) this.#database.run('DELETE FROM checkouts WHERE workspace = ?', workspace);
    else
      this.#database.run(
        'INSERT INTO checkouts (workspace, branch) VALUES (?, ?) ON CONFLICT (workspace) DO UPDATE SET branch = excluded.branch',
        workspace,
        branch,
      );
    for (const name of new Set([before, branch])) if (name) this.announce(name);
  }

  /** Points the branch to an image, making it when it is new. May run inside another transaction; announce afterwards. */
  moveInTransaction(name: string, image: string, operationId: string | null): void {
    const now = Date.now();
    if (!this.exists(name)) {
      this.#database.run('INSERT INTO branches (name, position, updated_at) VALUES (?, 0, ?)', name, now);
      this.#append(name, { position: 0, image, operation_id: operationId, at: now });
      return;
    }
    const current = this.#current(name);
    if (current.image === image) return;
    let last = this.#length(name) - 1;
    if (current.position !== last) this.#append(name, { ...current, position: ++last });
    this.#append(name, { position: ++last, image, operation_id: operationId, at: now });
    this.#database.run('UPDATE branches SET position = ?, updated_at = ? WHERE name = ?', last, now, name);
  }

  move(name: string, image: string): void {
    this.#database.transaction(() => this.moveInTransaction(name, image, null));
    this.announce(name);
  }

  /** Back by `steps`, or forward where negative; or to the nearest earlier mention of an image. */
  rollBack(name: string, target: { readonly steps: number } | { readonly image: string }): void {
    const history = this.#history(name);
    const { position } = this.#current(name);
    const to = 'steps' in target ? position - target.steps : findImage(history, position, target.image);
    if (to === undefined) {
      throw new CoppiceError(
        'invalid_input',
        `image ${(target as { image: string }).image} is not in the history of ${name}`,
        {
          field: 'image',
          fix: 'To point the branch anywhere: coppice branch NAME IMAGE.',
        },
      );
    }
    if (to < 0 || to >= history.length) {
      throw new CoppiceError(
        'invalid_input',
        `${name} cannot go ${to < 0 ? 'back' : 'forward'} so far: it is at ${position + 1} of ${history.length}`,
        { field: 'steps' },
      );
    }
    this.#database.run('UPDATE branches SET position = ?, updated_at = ? WHERE name = ?', to, Date.now(), name);
    this.announce(name);
  }

  remove(name: string): BranchResult {
    const result = this.result(name);
    this.#database.run('DELETE FROM branches WHERE name = ?', name);
    this.#events.emit({ topic: 'branch', change: 'removed', branch: this.#viewOf(result) });
    return result;
  }

  /** Every image that some branch's history names: these are not garbage. */
  heldImages(): Map<string, string> {
    const rows = this.#database.all<{ image: string; branch: string }>('SELECT image, branch FROM branch_history');
    return new Map(rows.map(row => [row.image, row.branch]));
  }

  announce(name: string): void {
    if (this.exists(name)) this.#events.emit({ topic: 'branch', change: 'changed', branch: this.view(name) });
  }

  view(name: string): BranchView {
    return this.#viewOf(this.result(name));
  }

  #viewOf({ history: _history, ...view }: BranchResult): BranchView {
    return view;
  }

  result(name: string): BranchResult {
    const current = this.#current(name);
    const history = this.#history(name);
    const updated = this.#database.get<{ updated_at: number }>('SELECT updated_at FROM branches WHERE name = ?', name)!;
    return {
      name,
      head: current.image,
      position: current.position,
      length: history.length,
      updated_at: new Date(updated.updated_at).toISOString(),
      checked_out_in: this.#database
        .all<{ workspace: string }>('SELECT workspace FROM checkouts WHERE branch = ? ORDER BY workspace', name)
        .map(row => row.workspace),
      history: history.map(step => ({
        image: step.image,
        operation_id: step.operation_id,
        at: new Date(step.at).toISOString(),
        current: step.position === current.position,
      })),
    };
  }

  #current(name: string): Step {
    const step = this.#database.get<Step>(
      `SELECT branch_history.position AS position, image, operation_id, at FROM branch_history
       JOIN branches ON name = branch AND branches.position = branch_history.position WHERE name = ?`,
      name,
    );
    if (!step)
      throw new CoppiceError('branch_not_found', `no branch ${name}`, {
        field: 'name',
        fix: 'See coppice branches.',
        data: { branch: name },
      });
    return step;
  }

  #history(name: string): Step[] {
    return this.#database.all<Step>(
      'SELECT position, image, operation_id, at FROM branch_history WHERE branch = ? ORDER BY position',
      name,
    );
  }

  #length(name: string): number {
    return this.#database.get<{ count: number }>('SELECT count(*) AS count FROM branch_history WHERE branch = ?', name)!
      .count;
  }

  #append(name: string, step: Step): void {
    this.#database.run(
      'INSERT INTO branch_history (branch, position, image, operation_id, at) VALUES (?, ?, ?, ?, ?)',
      name,
      step.position,
      step.image,
      step.operation_id,
      step.at,
    );
  }
}

/** The nearest earlier mention, else the nearest later one. */
function findImage(history: readonly Step[], position: number, image: string): number | undefined {
  const earlier = history.findLast(step => step.position < position && step.image === image);
  return (earlier ?? history.find(step => step.image === image))?.position;
}

import { randomBytes } from 'node:crypto';
import type { ErrorCode, WireError } from '../../protocol/errors.ts';
import type { OperationKind, OperationStatus, RuntimeName } from '../../protocol/schemas/common.ts';
import type { StepResult } from '../../protocol/schemas/operations.ts';
import type { Database } from '../store/database.ts';

export interface OperationRecord {
  readonly id: string;
  readonly kind: OperationKind;
  readonly status: OperationStatus;
  readonly title: string;
  readonly image: string | null;
  readonly resultImage: string | null;
  /** What was asked, without secrets. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly disposable: boolean;
  readonly directoryStateId: string | null;
  readonly group: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly runtime: RuntimeName;
  readonly client: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly filesystemChanged: boolean | null;
  readonly error: WireError | null;
  readonly cpuMs: number | null;
  readonly maxRss: number | null;
  readonly steps: readonly StepResult[] | null;
  readonly hints: readonly string[];
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  readonly stdoutCapped: boolean;
  readonly stderrCapped: boolean;
  readonly lastLine: string;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

export type NewOperation = Pick<
  OperationRecord,
  'kind' | 'title' | 'image' | 'input' | 'disposable' | 'directoryStateId' | 'runtime' | 'client' | 'hints'
> &
  Partial<Pick<OperationRecord, 'group' | 'labels'>>;

/** How an operation ended. */
export type OperationEnd = Pick<
  OperationRecord,
  | 'resultImage'
  | 'exitCode'
  | 'signal'
  | 'timedOut'
  | 'filesystemChanged'
  | 'error'
  | 'cpuMs'
  | 'maxRss'
  | 'steps'
  | 'hints'
  | 'stdoutBytes'
  | 'stderrBytes'
  | 'stdoutCapped'
  | 'stderrCapped'
  | 'lastLine'
> & { readonly status: 'SUCCESS' | 'FAILED' | 'CANCELLED' };

export const finished = (status: OperationStatus): boolean =>
  status === 'SUCCESS' || status === 'FAILED' || status === 'CANCELLED';

export interface OperationFilter {
  readonly statuses?: readonly OperationStatus[] | undefined;
  readonly kind?: OperationKind | undefined;
  readonly group?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

type Row = Record<string, string | number | null>;

/** The records of all operations. A record only ever moves forward: PENDING → EXECUTING → its end. */
export class OperationStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  insert(operation: NewOperation): OperationRecord {
    const id = `op-${randomBytes(8).toString('hex')}`;
    this.#database.run(
      `INSERT INTO operations (id, kind, status, title, image, input, disposable, directory_state_id, group_id, labels, runtime, client, hints, created_at)
       VALUES (?, ?, 'PENDING', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      id,
      operation.kind,
      operation.title,
      operation.image,
      JSON.stringify(operation.input),
      operation.disposable ? 1 : 0,
      operation.directoryStateId,
      operation.group ?? null,
      JSON.stringify(operation.labels ?? {}),
      operation.runtime,
      operation.client,
      JSON.stringify(operation.hints),
      Date.now(),
    );
    return this.find(id)!;
  }

  begin(id: string): void {
    this.#database.run(
      "UPDATE operations SET status = 'EXECUTING', started_at = ? WHERE id = ? AND status = 'PENDING'",
      Date.now(),
      id,
    );
  }

  /** Must be called inside the transaction that also writes the images it made. */
  end(id: string, end: OperationEnd): void {
    this.#database.run(
      `UPDATE operations SET status = ?, result_image = ?, exit_code = ?, signal = ?, timed_out = ?, filesystem_changed = ?, error = ?, cpu_ms = ?, max_rss = ?,
       steps = ?, hints = ?, stdout_bytes = ?, stderr_bytes = ?, stdout_capped = ?, stderr_capped = ?, last_line = ?, finished_at = ?
       WHERE id = ? AND status IN ('PENDING', 'EXECUTING')`,
      end.status,
      end.resultImage,
      end.exitCode,
      end.signal,
      end.timedOut ? 1 : 0,
      end.filesystemChanged === null ? null : end.filesystemChanged ? 1 : 0,
      end.error === null ? null : JSON.stringify(end.error),
      end.cpuMs,
      end.maxRss,
      end.steps === null ? null : JSON.stringify(end.steps),
      JSON.stringify(end.hints),
      end.stdoutBytes,
      end.stderrBytes,
      end.stdoutCapped ? 1 : 0,
      end.stderrCapped ? 1 : 0,
      end.lastLine,
      Date.now(),
      id,
    );
  }

  find(id: string): OperationRecord | undefined {
    const row = this.#database.get<Row>('SELECT * FROM operations WHERE id = ?', id);
    return row && toRecord(row);
  }

  list(
    filter: OperationFilter,
    limit: number,
    offset: number,
  ): { readonly operations: OperationRecord[]; readonly total: number } {
    const conditions = ['1'];
    const values: (string | number)[] = [];
    if (filter.statuses !== undefined) {
      conditions.push(`status IN (${filter.statuses.map(() => '?').join(', ')})`);
      values.push(...filter.statuses);
    }
    for (const [condition, value] of [
      ['kind = ?', filter.kind],
      ['group_id = ?', filter.group],
      ['created_at >= ?', filter.since],
      ['created_at <= ?', filter.until],
    ] as const) {
      if (value === undefined) continue;
      conditions.push(condition);
      values.push(value);
    }
    const where = `WHERE ${conditions.join(' AND ')}`;
    const { total } = this.#database.get<{ total: number }>(
      `SELECT count(*) AS total FROM operations ${where}`,
      ...values,
    )!;
    const rows = this.#database.all<Row>(
      // The page is found in an index: whole rows are wide, and must not be what is sorted.
      `SELECT * FROM operations WHERE rowid IN
         (SELECT rowid FROM operations ${where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?)
       ORDER BY created_at DESC, rowid DESC`,
      ...values,
      limit,
      offset,
    );
    return { operations: rows.map(toRecord), total };
  }

  ids(): string[] {
    return this.#database.all<{ id: string }>('SELECT id FROM operations').map(row => row.id);
  }

  /** How often an image was started from. */
  startsFrom(image: string): number {
    return this.#database.get<{ count: number }>('SELECT count(*) AS count FROM operations WHERE image = ?', image)!
      .count;
  }

  /** Image → an unfinished operation that starts from it. */
  imagesInUse(): Map<string, string> {
    const rows = this.#database.all<{ image: string; id: string }>(
      "SELECT image, id FROM operations WHERE status IN ('PENDING', 'EXECUTING') AND image IS NOT NULL",
    );
    return new Map(rows.map(row => [row.image, row.id]));
  }

  unfinished(): OperationRecord[] {
    return this.#database.all<Row>("SELECT * FROM operations WHERE status IN ('PENDING', 'EXECUTING')").map(toRecord);
  }
}

function toRecord(row: Row): OperationRecord {
  return {
    id: row.id as string,
    kind: row.kind as OperationKind,
    status: row.status as OperationStatus,
    title: row.title as string,
    image: row.image as string | null,
    resultImage: row.result_image as string | null,
    input: JSON.parse(row.input as string),
    disposable: row.disposable === 1,
    directoryStateId: row.directory_state_id as string | null,
    group: row.group_id as string | null,
    labels: JSON.parse(row.labels as string),
    runtime: row.runtime as RuntimeName,
    client: row.client as string,
    exitCode: row.exit_code as number | null,
    signal: row.signal as string | null,
    timedOut: row.timed_out === 1,
    filesystemChanged: row.filesystem_changed === null ? null : row.filesystem_changed === 1,
    error: row.error === null ? null : (JSON.parse(row.error as string) as WireError & { code: ErrorCode }),
    cpuMs: row.cpu_ms as number | null,
    maxRss: row.max_rss as number | null,
    steps: row.steps === null ? null : JSON.parse(row.steps as string),
    hints: JSON.parse(row.hints as string),
    stdoutBytes: row.stdout_bytes as number,
    stderrBytes: row.stderr_bytes as number,
    stdoutCapped: row.stdout_capped === 1,
    stderrCapped: row.stderr_capped === 1,
    lastLine: row.last_line as string,
    createdAt: row.created_at as number,
    startedAt: row.started_at as number | null,
    finishedAt: row.finished_at as number | null,
  };
}

import { CoppiceError, toWireError, type WireError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { OperationResult, OperationView } from '../../protocol/schemas/operations.ts';
import type { RuntimeProcess } from '../../runtimes/runtime.ts';
import type { EventBus } from '../eventBus.ts';
import type { Log } from '../log.ts';
import type { Database } from '../store/database.ts';
import type { Spools } from '../store/spools.ts';
import { headText, LONGEST_CHARACTER, lastLineOf } from '../store/text.ts';
import {
  finished,
  type NewOperation,
  type OperationEnd,
  type OperationRecord,
  type OperationStore,
} from './operationStore.ts';
import type { OutputFeed } from './outputFeed.ts';
import type { JobGroup, Scheduler } from './scheduler.ts';

/** What an operation's work answers; the rest of its end is known here. */
export type Outcome = Partial<Omit<OperationEnd, 'hints'>> & {
  readonly status: 'SUCCESS' | 'FAILED';
  readonly hints?: readonly string[];
  /** Writes the images it made, in the same transaction as the operation's end. */
  readonly commit?: () => void;
  /** After that transaction: announce what was made. */
  readonly announce?: () => void;
  /** Instead of both, when it was cancelled or could not be recorded: what the runtime made goes again. */
  readonly discard?: () => Promise<unknown>;
};

export interface Job {
  readonly operation: OperationRecord;
  readonly signal: AbortSignal;
  /** Follows a process's output into events and the operation's view. */
  attach(process: Pick<RuntimeProcess, 'onOutput'>): void;
}

interface Live {
  readonly controller: AbortController;
  readonly ended: Promise<void>;
  announceTimer: NodeJS.Timeout | undefined;
}

interface Spooled {
  readonly bytes: { readonly stdout: number; readonly stderr: number };
  readonly lastLine: string;
}
const NOTHING_SPOOLED: Spooled = { bytes: { stdout: 0, stderr: 0 }, lastLine: '' };

const VIEW_INTERVAL_MS = 250;

/** Every operation from its first record to its last: queue, run, cancel, end, and the views others see of it. */
export class Operations {
  readonly #database: Database;
  readonly #store: OperationStore;
  readonly #scheduler: Scheduler;
  readonly #spools: Spools;
  readonly #feed: OutputFeed;
  readonly #events: EventBus;
  readonly #log: Log;
  readonly #live = new Map<string, Live>();
  /** Ends that a full disk did not take. They hold while this engine lives; the next one ends them as interrupted. */
  readonly #unrecorded = new Map<string, Partial<OperationRecord>>();

  constructor(parts: {
    readonly database: Database;
    readonly store: OperationStore;
    readonly scheduler: Scheduler;
    readonly spools: Spools;
    readonly feed: OutputFeed;
    readonly events: EventBus;
    readonly log: Log;
  }) {
    this.#database = parts.database;
    this.#store = parts.store;
    this.#scheduler = parts.scheduler;
    this.#spools = parts.spools;
    this.#feed = parts.feed;
    this.#events = parts.events;
    this.#log = parts.log;
  }

  /** Records the operation and queues its work, or starts it at once where it takes no slot. Answers at once. */
  start(
    operation: NewOperation,
    clientId: string,
    work: (job: Job) => Promise<Outcome>,
    options: { readonly queued: boolean; readonly group?: JobGroup | undefined } = { queued: true },
  ): OperationRecord {
    const record = this.#store.insert(operation);
    this.#announce(record.id);
    const controller = new AbortController();
    const execute = () => this.#execute(record, controller.signal, work);
    const live: Live = {
      controller,
      announceTimer: undefined,
      ended: (options.queued
        ? this.#scheduler.schedule(clientId, controller.signal, execute, options.group)
        : Promise.resolve().then(execute)
      )
        .catch(error => ({ status: 'FAILED', error: toWireError(error) }) satisfies Outcome)
        .then(outcome => this.#end(record.id, outcome))
        .catch(error => this.#lost(record.id, error)),
    };
    this.#live.set(record.id, live);
    return record;
  }

  /** One that an earlier engine began and whose work goes on. */
  resume(record: OperationRecord, work: (job: Job) => Promise<Outcome>): void {
    const controller = new AbortController();
    const job: Job = {
      operation: record,
      signal: controller.signal,
      attach: process => this.#follow(record.id, process),
    };
    const ended = Promise.resolve()
      .then(() => work(job))
      .catch(error => ({ status: 'FAILED', error: toWireError(error) }) satisfies Outcome)
      .then(outcome => this.#end(record.id, outcome))
      .catch(error => this.#lost(record.id, error));
    this.#live.set(record.id, { controller, announceTimer: undefined, ended });
  }

  async #execute(record: OperationRecord, signal: AbortSignal, work: (job: Job) => Promise<Outcome>): Promise<Outcome> {
    this.#store.begin(record.id);
    this.#announce(record.id);
    return work({
      operation: this.#store.find(record.id)!,
      signal,
      attach: process => this.#follow(record.id, process),
    });
  }

  #follow(id: string, process: Pick<RuntimeProcess, 'onOutput'>): void {
    process.onOutput((stream, length) => {
      this.#feed.grew(id, stream, length);
      this.#announceSoon(id);
    });
  }

  #end(id: string, outcome: Outcome): void {
    const live = this.#live.get(id);
    clearTimeout(live?.announceTimer);
    const cancelled = live?.controller.signal.aborted === true;
    const record = this.#store.find(id)!;
    const spooled = record.startedAt === null ? NOTHING_SPOOLED : this.#spooled(id);
    const end: OperationEnd = {
      resultImage: cancelled ? null : (outcome.resultImage ?? null),
      exitCode: outcome.exitCode ?? null,
      signal: outcome.signal ?? null,
      timedOut: outcome.timedOut ?? false,
      filesystemChanged: outcome.filesystemChanged ?? null,
      error: cancelled ? null : (outcome.error ?? null),
      cpuMs: outcome.cpuMs ?? null,
      maxRss: outcome.maxRss ?? null,
      steps: cancelled ? null : (outcome.steps ?? null),
      hints: [...record.hints, ...(outcome.hints ?? [])],
      stdoutBytes: outcome.stdoutBytes ?? spooled.bytes.stdout,
      stderrBytes: outcome.stderrBytes ?? spooled.bytes.stderr,
      stdoutCapped: outcome.stdoutCapped ?? false,
      stderrCapped: outcome.stderrCapped ?? false,
      lastLine: spooled.lastLine,
      status: cancelled ? 'CANCELLED' : outcome.status,
    };
    const recorded = this.#record(id, end, cancelled ? undefined : outcome.commit);
    if (outcome.error?.code === 'internal') this.#log.error(`operation ${id}: ${outcome.error.message}`);
    this.#live.delete(id);
    this.#feed.ended(id);
    if (recorded && !cancelled) outcome.announce?.();
    else outcome.discard?.().catch(error => this.#log.error(`operation ${id} left something behind`, error));
    this.#announce(id);
  }

  /** Its end could not even be looked at. Who waits for it is told all the same, and nothing is held for it any more. */
  #lost(id: string, error: unknown): void {
    this.#log.error(`operation ${id}`, error);
    if (!this.#live.delete(id)) return;
    this.#feed.ended(id);
    this.#unrecorded.set(id, { status: 'FAILED', error: toWireError(error), finishedAt: Date.now() });
  }

  /** false: the disk is full or broken. Then the smallest record is tried, and failing that the end is known to this engine only. */
  #record(id: string, end: OperationEnd, commit: (() => void) | undefined): boolean {
    try {
      this.#database.transaction(() => {
        commit?.();
        this.#store.end(id, end);
      });
      return true;
    } catch (error) {
      this.#log.error(`operation ${id} could not be recorded`, error);
      const failed: OperationEnd = {
        ...end,
        status: 'FAILED',
        resultImage: null,
        steps: null,
        error: toWireError(error),
      };
      try {
        this.#store.end(id, failed);
      } catch (again) {
        this.#log.error(`operation ${id} could not be recorded as failed either`, again);
        this.#unrecorded.set(id, { ...failed, finishedAt: Date.now() });
      }
      return false;
    }
  }

  /** Kills the process tree, or takes it out of the queue. Resolves at the operation's end; a finished one is left as it is. */
  async cancel(id: string): Promise<{ readonly cancelled: boolean; readonly record: OperationRecord }> {
    const live = this.#live.get(id);
    live?.controller.abort(new CoppiceError('cancelled', `operation ${id} was cancelled`));
    await live?.ended;
    const record = this.record(id);
    return { cancelled: live !== undefined && record.status === 'CANCELLED', record };
  }

  /** Their ids. */
  unfinished(): readonly string[] {
    return this.#store.unfinished().map(({ id }) => id);
  }

  cancelAll(): Promise<unknown> {
    return Promise.all([...this.#live.keys()].map(id => this.cancel(id)));
  }

  /** Resolves when the operation has ended, or the signal says not to wait any longer. */
  async ended(id: string, signal?: AbortSignal): Promise<void> {
    const live = this.#live.get(id);
    if (!live) return;
    if (!signal) return live.ended;
    let stop = () => {};
    const aborted = new Promise<void>(resolve => {
      stop = resolve;
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', stop, { once: true });
    });
    await Promise.race([live.ended, aborted]);
    signal.removeEventListener('abort', stop);
  }

  find(id: string): OperationRecord | undefined {
    const record = this.#store.find(id);
    return record && this.#asKnown(record);
  }

  #asKnown(record: OperationRecord): OperationRecord {
    const end = this.#unrecorded.get(record.id);
    return end ? { ...record, ...end } : record;
  }

  record(id: string): OperationRecord {
    const record = this.find(id);
    if (!record)
      throw new CoppiceError('operation_not_found', `no operation ${id}`, {
        field: 'operation_id',
        fix: 'See coppice ps.',
        data: { operation_id: id },
      });
    return record;
  }

  list(...filter: Parameters<OperationStore['list']>): ReturnType<OperationStore['list']> {
    const { operations, total } = this.#store.list(...filter);
    return { operations: operations.map(record => this.#asKnown(record)), total };
  }

  ids(): string[] {
    return this.#store.ids();
  }

  startsFrom(image: string): number {
    return this.#store.startsFrom(image);
  }

  /** After a crash: whatever had not ended has now, but for what `resume` takes up again; answers whose sandboxes live on. */
  endInterrupted(resume: (record: OperationRecord) => string | undefined = () => undefined): string[] {
    const resumed: string[] = [];
    const error: WireError = {
      code: 'interrupted',
      message: 'the engine ended while this was going on',
      fix: 'Run it again.',
    };
    for (const record of this.#store.unfinished()) {
      const sandbox = resume(record);
      if (sandbox !== undefined) {
        resumed.push(sandbox);
        continue;
      }
      const { bytes, lastLine } = this.#spooled(record.id);
      this.#store.end(record.id, {
        status: 'FAILED',
        resultImage: null,
        exitCode: null,
        signal: null,
        timedOut: false,
        filesystemChanged: null,
        error,
        cpuMs: null,
        maxRss: null,
        steps: record.steps,
        hints: record.hints,
        stdoutBytes: bytes.stdout,
        stderrBytes: bytes.stderr,
        stdoutCapped: false,
        stderrCapped: false,
        lastLine,
      });
    }
    return resumed;
  }

  view(record: OperationRecord): OperationView {
    const { status } = record;
    const spooled = finished(status)
      ? { bytes: { stdout: record.stdoutBytes, stderr: record.stderrBytes }, lastLine: record.lastLine }
      : status === 'EXECUTING'
        ? this.#spooled(record.id)
        : NOTHING_SPOOLED;
    return {
      operation_id: record.id,
      kind: record.kind,
      status: record.status,
      title: record.title,
      image: record.image,
      result_image: record.resultImage,
      exit_code: record.exitCode,
      signal: record.signal,
      timed_out: record.timedOut,
      filesystem_changed: record.filesystemChanged,
      disposable: record.disposable,
      directory_state_id: record.directoryStateId,
      group: record.group,
      labels: record.labels,
      runtime: record.runtime,
      client: record.client,
      created_at: new Date(record.createdAt).toISOString(),
      started_at: record.startedAt === null ? null : new Date(record.startedAt).toISOString(),
      finished_at: record.finishedAt === null ? null : new Date(record.finishedAt).toISOString(),
      duration_ms:
        record.startedAt === null || record.finishedAt === null ? null : record.finishedAt - record.startedAt,
      output_bytes: { ...spooled.bytes },
      last_line: spooled.lastLine,
      error: record.error,
    };
  }

  result(record: OperationRecord, truncateAt: number): OperationResult {
    const view = this.view(record);
    const whole = { stdout: !record.stdoutCapped, stderr: !record.stderrCapped };
    const text = (stream: StreamName) =>
      view.output_bytes[stream] === 0
        ? ''
        : headText(
            this.#spools.read(record.id, stream, 0, truncateAt + LONGEST_CHARACTER).bytes,
            truncateAt,
            finished(record.status) && whole[stream],
          );
    return {
      ...view,
      stdout: text('stdout'),
      stderr: text('stderr'),
      truncated: {
        stdout: view.output_bytes.stdout > truncateAt || record.stdoutCapped,
        stderr: view.output_bytes.stderr > truncateAt || record.stderrCapped,
      },
      resources: { cpu_ms: record.cpuMs, max_rss: record.maxRss },
      ...(record.steps === null ? {} : { steps: [...record.steps] }),
      hints: [...record.hints],
    };
  }

  /** What is written so far, and the last line of it. */
  #spooled(id: string): Spooled {
    const bytes = { stdout: this.#spools.size(id, 'stdout'), stderr: this.#spools.size(id, 'stderr') };
    const last = bytes.stdout > 0 ? 'stdout' : 'stderr';
    const tail = Math.min(1024, bytes[last]);
    if (tail === 0) return { bytes, lastLine: '' };
    return { bytes, lastLine: lastLineOf(this.#spools.read(id, last, bytes[last] - tail, tail).bytes) };
  }

  #announce(id: string): void {
    if (!this.#events.heard) return;
    const record = this.find(id);
    if (record) this.#events.emit({ topic: 'operation', operation: this.view(record) });
  }

  /** While it runs, its last line changes: shown a few times a second, not with each write. */
  #announceSoon(id: string): void {
    const live = this.#live.get(id);
    if (!live || live.announceTimer) return;
    live.announceTimer = setTimeout(() => {
      live.announceTimer = undefined;
      this.#announce(id);
    }, VIEW_INTERVAL_MS);
  }
}

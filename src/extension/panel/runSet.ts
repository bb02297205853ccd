import type { Row, Subject } from '../../../webview/protocol.ts';
import type { VerbCaller } from '../../client/engineClient.ts';
import type { EngineEvent } from '../../protocol/events.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { oneLine, operationGroup, outcome } from '../views/labels.ts';
import type { RunMetrics } from './runMetrics.ts';

/** What the panel shows of all there is. */
const MOST_RUNS = 2_000;

/** The runs of a subject: loaded once, then kept by events. A retry takes the place of the run it repeats. */
export class RunSet {
  readonly #caller: VerbCaller;
  readonly #metrics: RunMetrics;
  #subject: Subject = { kind: 'none' };
  #operations = new Map<string, OperationView>();
  /** Events that came while it was loading. */
  #early: OperationView[] | undefined;
  #rows: readonly Row[] | undefined;
  #columns: readonly string[] = [];

  constructor(caller: VerbCaller, metrics: RunMetrics) {
    this.#caller = caller;
    this.#metrics = metrics;
  }

  get subject(): Subject {
    return this.#subject;
  }
  get columns(): readonly string[] {
    this.rows();
    return this.#columns;
  }

  operation(id: string): OperationView | undefined {
    return this.#operations.get(id);
  }

  /** A subject of its own and nothing in it, until `load` is through. */
  show(subject: Subject): void {
    this.#subject = subject;
    this.#operations = new Map();
    this.#rows = undefined;
    this.#metrics.clear();
  }

  async load(): Promise<void> {
    const subject = this.#subject;
    this.#early = [];
    const operations = await this.#ask(subject);
    if (subject !== this.#subject) return;
    const early = this.#early;
    this.#early = undefined;
    this.#operations = new Map(operations.map(operation => [operation.operation_id, operation]));
    this.#rows = undefined;
    for (const operation of operations) this.#metrics.notice(operation);
    for (const operation of early) this.#put(operation);
  }

  async #ask(subject: Subject): Promise<readonly OperationView[]> {
    switch (subject.kind) {
      case 'none':
        return [];
      case 'group':
        return (await this.#caller.call('list_operations', { group: subject.id, limit: 10_000 })).operations;
      case 'recent':
        return (await this.#caller.call('list_operations', { kind: 'run', limit: MOST_RUNS })).operations;
      case 'operations':
        return Promise.all(
          subject.ids.map(operation_id => this.#caller.call('get_operation', { operation_id, truncate_output_at: 0 })),
        );
    }
  }

  /** True: something shown has changed. */
  take(event: EngineEvent): boolean {
    if (event.topic !== 'operation' || !this.#isMember(event.operation)) return false;
    if (this.#early) this.#early.push(event.operation);
    else this.#put(event.operation);
    return true;
  }

  #isMember({ operation_id, kind, group }: OperationView): boolean {
    switch (this.#subject.kind) {
      case 'none':
        return false;
      case 'group':
        return group === this.#subject.id;
      case 'recent':
        return kind === 'run';
      case 'operations':
        return this.#subject.ids.includes(operation_id);
    }
  }

  #put(operation: OperationView): void {
    const known = this.#operations.get(operation.operation_id);
    // A view may be overtaken by the answer of a load that was asked for later.
    if (known && operationGroup(known) === 'finished' && operationGroup(operation) !== 'finished') return;
    this.#operations.set(operation.operation_id, operation);
    this.#rows = undefined;
    this.#metrics.notice(operation);
    if (this.#operations.size > MOST_RUNS * 1.1 && this.#subject.kind === 'recent') this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldestFirst = [...this.#operations.values()].toSorted(byStart);
    for (const { operation_id } of oldestFirst.slice(0, this.#operations.size - MOST_RUNS)) {
      this.#operations.delete(operation_id);
      this.#metrics.forget(operation_id);
    }
  }

  /** In the order they were started; the same array until something changes. Metrics are filled in by `withMetrics`. */
  rows(): readonly Row[] {
    if (this.#rows) return this.#rows;
    const attempts = Object.groupBy([...this.#operations.values()].toSorted(byStart), operation =>
      this.#keyOf(operation),
    );
    const columns = new Set<string>();
    for (const tries of Object.values(attempts)) for (const name of Object.keys(tries![0]!.labels)) columns.add(name);
    this.#columns = [...columns];
    this.#rows = Object.values(attempts).map((tries, index) => this.#row(tries!.at(-1)!, index + 1, tries!.length));
    return this.#rows;
  }

  withMetrics(): Row[] {
    const { take } = this.#metrics.choice;
    return this.rows().map(row => {
      const series = this.#metrics.series(row.id);
      return series && series.count > 0 ? { ...row, metric: series.value(take), printed: series.count } : row;
    });
  }

  /** Runs of a group with the same labels and command are attempts at the same. */
  #keyOf({ operation_id, title, labels }: OperationView): string {
    return this.#subject.kind === 'group' ? JSON.stringify([title, Object.entries(labels)]) : operation_id;
  }

  #row(operation: OperationView, number: number, attempts: number): Row {
    const { status, result_image: result } = operation;
    const finished = operationGroup(operation) === 'finished';
    return {
      id: operation.operation_id,
      number,
      status,
      title: oneLine(operation.title),
      labels: this.#columns.map(name => operation.labels[name] ?? ''),
      metric: null,
      printed: 0,
      started: time(operation.started_at),
      finished: time(operation.finished_at),
      outcome: finished ? outcome(operation) : '',
      lastLine: oneLine(operation.last_line),
      attempts,
      kept: !operation.disposable && result !== null && result !== operation.image,
    };
  }
}

const time = (text: string | null): number | null => (text === null ? null : Date.parse(text));

/** Stable: what was started in one millisecond keeps the order it was told in. */
const byStart = (a: OperationView, b: OperationView): number => a.created_at.localeCompare(b.created_at);

import * as vscode from 'vscode';
import type { EngineEvent } from '../../protocol/events.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { contextKeys, itemKinds, views } from '../contributions.ts';
import { outputUri } from '../documents/outputDocuments.ts';
import type { EngineConnection } from '../engineConnection.ts';
import type { LiveOperations } from '../liveOperations.ts';
import { EngineTree, type Row } from './engineTree.ts';
import {
  age,
  byteSize,
  duration,
  elapsed,
  type OperationGroup,
  oneLine,
  operationGroup,
  outcome,
  runningTime,
  shortId,
} from './labels.ts';

const LIVE_LIMIT = 1000;
const FINISHED_LIMIT = 100;

/** Operations: running and waiting ones live, then the latest finished ones. */
export class OperationsView extends EngineTree {
  readonly #connection: EngineConnection;
  readonly #groups: Readonly<Record<OperationGroup, OperationRows>> = {
    running: new OperationRows('running', 'Running', vscode.TreeItemCollapsibleState.Expanded),
    waiting: new OperationRows('waiting', 'Waiting', vscode.TreeItemCollapsibleState.Collapsed),
    finished: new OperationRows('finished', 'Finished', vscode.TreeItemCollapsibleState.Expanded),
  };

  constructor(connection: EngineConnection, live: LiveOperations) {
    super(connection, views.operations.id, contextKeys.operationsLoaded, true);
    this.#connection = connection;
    this._register(live.onDidChange(count => this.#showBadge(count)));
  }

  #showBadge(count: number): void {
    const tooltip = count === 1 ? '1 operation running' : `${count} operations running`;
    this.view.badge = count === 0 ? undefined : { value: count, tooltip };
  }

  protected async load(): Promise<void> {
    const [live, finished] = await Promise.all([
      this.#connection.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: LIVE_LIMIT }),
      this.#connection.call('list_operations', { status: ['SUCCESS', 'FAILED', 'CANCELLED'], limit: FINISHED_LIMIT }),
    ]);
    const all = [...live.operations, ...finished.operations];
    for (const group of Object.values(this.#groups)) {
      group.replace(all.filter(operation => operationGroup(operation) === group.id));
    }
  }

  protected roots(): readonly Row[] {
    return Object.values(this.#groups).filter(group => group.size > 0);
  }

  protected take(event: EngineEvent): void {
    if (event.topic !== 'operation') return;
    const { operation } = event;
    const home = this.#groups[operationGroup(operation)];
    const before = this.roots().length;
    const left = Object.values(this.#groups).filter(group => group !== home && group.remove(operation.operation_id));
    const effect = home.put(operation);
    if (this.roots().length !== before) {
      this.rootsChanged();
      return;
    }
    for (const group of left) this.rowChanged(group);
    this.rowChanged(effect === 'group' ? home : home.row(operation.operation_id)!);
  }

  protected tick(now: number): void {
    for (const row of this.#groups.running.rows) this.rowChanged(row);
    for (const row of this.#groups.finished.rows) if (row.isStale(now)) this.rowChanged(row);
  }
}

class OperationRows implements Row {
  readonly id: OperationGroup;
  readonly parent = undefined;
  readonly #label: string;
  readonly #state: vscode.TreeItemCollapsibleState;
  #rows: readonly OperationRow[] = [];

  constructor(id: OperationGroup, label: string, state: vscode.TreeItemCollapsibleState) {
    this.id = id;
    this.#label = label;
    this.#state = state;
  }

  get size(): number {
    return this.#rows.length;
  }
  get rows(): readonly OperationRow[] {
    return this.#rows;
  }
  row(id: string): OperationRow | undefined {
    return this.#rows.find(row => row.operation.operation_id === id);
  }

  replace(operations: readonly OperationView[]): void {
    this.#rows = operations
      .map(operation => this.row(operation.operation_id)?.update(operation) ?? new OperationRow(operation, this))
      .toSorted(newestFirst);
  }

  put(operation: OperationView): 'row' | 'group' {
    const known = this.row(operation.operation_id);
    if (known) {
      known.update(operation);
      return 'row';
    }
    const rows = [...this.#rows, new OperationRow(operation, this)].toSorted(newestFirst);
    this.#rows = this.id === 'finished' ? rows.slice(0, FINISHED_LIMIT) : rows;
    return 'group';
  }

  remove(id: string): boolean {
    const remaining = this.#rows.filter(row => row.operation.operation_id !== id);
    const removed = remaining.length < this.#rows.length;
    this.#rows = remaining;
    return removed;
  }

  children(): readonly Row[] {
    return this.#rows;
  }

  item(): vscode.TreeItem {
    const item = new vscode.TreeItem(this.#label, this.#state);
    item.description = String(this.size);
    item.accessibilityInformation = { label: `${this.#label} operations, ${this.size}` };
    return item;
  }
}

function newestFirst(a: OperationRow, b: OperationRow): number {
  return b.operation.created_at.localeCompare(a.operation.created_at);
}

export class OperationRow implements Row {
  readonly id: string;
  readonly parent: Row;
  #operation: OperationView;
  #shownAge = '';

  constructor(operation: OperationView, parent: OperationRows) {
    this.id = `operation:${operation.operation_id}`;
    this.parent = parent;
    this.#operation = operation;
  }

  get operation(): OperationView {
    return this.#operation;
  }

  update(operation: OperationView): this {
    this.#operation = operation;
    return this;
  }

  isStale(now: number): boolean {
    const { finished_at } = this.#operation;
    return this.#shownAge !== '' && finished_at !== null && this.#shownAge !== age(finished_at, now);
  }

  children(): readonly Row[] {
    return [];
  }

  item(now: number): vscode.TreeItem {
    const operation = this.#operation;
    const item = new vscode.TreeItem(oneLine(operation.title) || operation.operation_id);
    const words = this.#words(now);
    item.description = words.join(' · ');
    item.iconPath = icon(operation);
    item.contextValue = kind(operation);
    // VS Code's own command: the arguments of ours would be forgotten whenever the row is drawn anew, even under a click.
    item.command = { command: 'vscode.open', title: 'Open Output', arguments: [outputUri(operation)] };
    item.accessibilityInformation = { label: `${operation.kind} ${oneLine(operation.title)}, ${words.join(', ')}` };
    return item;
  }

  tooltip(): vscode.MarkdownString {
    const operation = this.#operation;
    const text = new vscode.MarkdownString();
    text.appendCodeblock(operation.title, 'sh');
    const fact = (name: string, value: string) =>
      text.appendMarkdown(`${name}: `).appendText(value).appendMarkdown('  \n');
    fact('Operation', operation.operation_id);
    fact('State', `${operation.status.toLowerCase()}, ${outcome(operation)}`);
    if (operation.image !== null) fact('Image', operation.image);
    if (isKept(operation)) fact('Kept as', operation.result_image!);
    fact('Started', new Date(operation.started_at ?? operation.created_at).toLocaleString());
    fact('Took', duration(elapsed(operation, Date.now())));
    fact('Output', byteSize(operation.output_bytes.stdout + operation.output_bytes.stderr));
    if (operation.error?.fix !== undefined) fact('Next step', operation.error.fix);
    return text;
  }

  #words(now: number): string[] {
    const operation = this.#operation;
    const last = oneLine(operation.last_line);
    if (operation.status === 'PENDING') return ['waiting'];
    if (operation.status === 'EXECUTING') return [runningTime(elapsed(operation, now)), ...(last ? [last] : [])];
    this.#shownAge = operation.finished_at === null ? '' : age(operation.finished_at, now);
    return [
      ...(operation.status === 'SUCCESS' ? [] : [outcome(operation)]),
      duration(elapsed(operation, now)),
      ...(isKept(operation) ? [`kept ${shortId(operation.result_image!)}`] : []),
      ...(last ? [last] : []),
      ...(this.#shownAge ? [this.#shownAge] : []),
    ];
  }
}

/** Only of runs: that an import has a result goes without saying. */
function isKept(operation: OperationView): boolean {
  return (
    operation.kind !== 'import_image' && operation.result_image !== null && operation.result_image !== operation.image
  );
}

function kind(operation: OperationView): string {
  const group = operationGroup(operation);
  if (group === 'finished') return isKept(operation) ? itemKinds.finishedWithImage : itemKinds.finished;
  return itemKinds[group];
}

function icon(operation: OperationView): vscode.ThemeIcon {
  switch (operation.status) {
    case 'PENDING':
      return new vscode.ThemeIcon('watch');
    case 'EXECUTING':
      return new vscode.ThemeIcon('loading~spin');
    case 'SUCCESS':
      return new vscode.ThemeIcon('pass', new vscode.ThemeColor('testing.iconPassed'));
    case 'FAILED':
      return new vscode.ThemeIcon('error', new vscode.ThemeColor('testing.iconFailed'));
    case 'CANCELLED':
      return new vscode.ThemeIcon('circle-slash', new vscode.ThemeColor('disabledForeground'));
  }
}

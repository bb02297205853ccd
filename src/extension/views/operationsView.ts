import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineEvent } from '../../protocol/events.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { contextKeys, itemWords, views } from '../contributions.ts';
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
import { type ItemRow, RowGroup, sameRows } from './rowGroup.ts';

const LIVE_LIMIT = 1000;
const STEP = 100;
const MOST_SHOWN = 5000;

/** Operations: running and waiting ones live, then the latest finished ones. */
export class OperationsView extends EngineTree {
  readonly #connection: EngineConnection;
  readonly #groups: Readonly<Record<OperationGroup, RowGroup<OperationView, OperationRow>>> = {
    running: operationGroupRows('running', 'Running', vscode.TreeItemCollapsibleState.Expanded),
    waiting: operationGroupRows('waiting', 'Waiting', vscode.TreeItemCollapsibleState.Collapsed),
    finished: operationGroupRows('finished', 'Finished', vscode.TreeItemCollapsibleState.Expanded),
  };
  #limit = STEP;

  constructor(connection: EngineConnection, live: LiveOperations) {
    super(connection, views.operations.id, contextKeys.operationsLoaded, true);
    this.#connection = connection;
    this._register(live.onDidChange(count => this.#showBadge(count)));
  }

  showMore(): void {
    this.#limit += STEP * 5;
    this.refresh();
  }

  /** Shows an operation in its place, if it is among those that are loaded. */
  async reveal(id: string): Promise<void> {
    await vscode.commands.executeCommand(`${views.operations.id}.focus`);
    await this.ready();
    const row = this.#find(id) ?? (await this.#loadAsFarAs(id));
    this.flush();
    await this.view.reveal(row, { select: true, focus: true });
  }

  #find(id: string): OperationRow | undefined {
    return Object.values(this.#groups)
      .map(group => group.row(id))
      .find(row => row !== undefined);
  }

  /** An old one: all that are younger are loaded with it. */
  async #loadAsFarAs(id: string): Promise<OperationRow> {
    const { created_at } = await this.#connection.call('get_operation', { operation_id: id, truncate_output_at: 0 });
    const { total } = await this.#connection.call('list_operations', { since: created_at, limit: 1 });
    this.#limit = Math.max(this.#limit, Math.min(total + 1, MOST_SHOWN));
    this.refresh();
    await this.ready();
    const row = this.#find(id);
    if (row) return row;
    throw new CoppiceError('invalid_input', `operation ${id} is too old for the tree: ${MOST_SHOWN} younger ones are`, {
      fix: `In a terminal: coppice output ${id}.`,
    });
  }

  #showBadge(count: number): void {
    const tooltip = count === 1 ? '1 operation running' : `${count} operations running`;
    this.view.badge = count === 0 ? undefined : { value: count, tooltip };
  }

  protected async load(): Promise<void> {
    const [live, finished] = await Promise.all([
      this.#connection.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: LIVE_LIMIT }),
      this.#connection.call('list_operations', { status: ['SUCCESS', 'FAILED', 'CANCELLED'], limit: this.#limit }),
    ]);
    const of = (group: OperationGroup) => live.operations.filter(operation => operationGroup(operation) === group);
    this.#groups.running.replace(of('running'));
    this.#groups.waiting.replace(of('waiting'), of('waiting').length + live.total - live.operations.length);
    this.#groups.finished.replace(finished.operations, finished.total);
  }

  protected roots(): readonly Row[] {
    return Object.values(this.#groups).filter(group => group.size > 0);
  }

  protected take(event: EngineEvent): void {
    if (event.topic !== 'operation') return;
    const { operation } = event;
    const home = this.#groups[operationGroup(operation)];
    const before = this.roots();
    const left = Object.values(this.#groups).filter(group => group !== home && group.remove(operation.operation_id));
    const effect = home.put(operation, home === this.#groups.finished ? this.#limit : undefined);
    if (!sameRows(this.roots(), before)) {
      this.rootsChanged();
      return;
    }
    for (const group of left) this.rowChanged(group);
    this.rowChanged(effect === 'group' ? home : (home.row(operation.operation_id) ?? home));
  }

  protected tick(now: number): void {
    for (const row of this.#groups.running.rows) this.rowChanged(row);
    for (const row of this.#groups.finished.rows) if (row.isStale(now)) this.rowChanged(row);
  }
}

function operationGroupRows(
  id: OperationGroup,
  label: string,
  state: vscode.TreeItemCollapsibleState,
): RowGroup<OperationView, OperationRow> {
  return new RowGroup({
    id,
    label,
    what: 'operations',
    state,
    keyOf: operation => operation.operation_id,
    order: newestFirst,
    make: (operation, group) => new OperationRow(operation, group),
    more: 'coppice.moreOperations',
  });
}

function newestFirst(a: OperationRow, b: OperationRow): number {
  return b.operation.created_at.localeCompare(a.operation.created_at);
}

export class OperationRow implements ItemRow<OperationView> {
  readonly id: string;
  readonly key: string;
  readonly parent: Row;
  #operation: OperationView;
  #shownAge = '';

  constructor(operation: OperationView, parent: Row) {
    this.id = `operation:${operation.operation_id}`;
    this.key = operation.operation_id;
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
    item.contextValue = context(operation);
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

/** Words for `viewItem` in menus. */
function context(operation: OperationView): string {
  const finished = operationGroup(operation) === 'finished';
  return [
    itemWords.operation,
    finished ? itemWords.finished : itemWords.live,
    ...(finished && isKept(operation) ? [itemWords.kept] : []),
    ...(operation.result_image === null ? [] : [itemWords.hasImage]),
    ...(finished && operation.kind === 'run' ? [itemWords.again] : []),
  ].join(' ');
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

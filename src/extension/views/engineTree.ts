import * as vscode from 'vscode';
import type { CoppiceError } from '../../protocol/errors.ts';
import type { EngineEvent } from '../../protocol/events.ts';
import { type CommandId, type ViewId, views } from '../contributions.ts';
import { Disposable } from '../disposable.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import { sentence } from './labels.ts';

/** One row that a tree shows: its children and its item are asked of itself. */
export interface Row {
  readonly id: string;
  readonly parent: Row | undefined;
  children(): readonly Row[];
  item(now: number): vscode.TreeItem;
  tooltip?(): Promise<vscode.MarkdownString> | vscode.MarkdownString;
}

const FIRE_AFTER_MS = 60;

/**
 * A tree of what the engine holds. Asks nothing until it is shown, follows events only while it is visible, fires only
 * rows that changed, and loads anew when it may have missed something.
 */
export abstract class EngineTree extends Disposable implements vscode.TreeDataProvider<Row> {
  readonly #changed = this._register(new vscode.EventEmitter<readonly Row[] | undefined>());
  readonly #pending = new Set<Row>();
  readonly id: ViewId;
  readonly #connection: EngineConnection;
  readonly #view: vscode.TreeView<Row>;
  readonly #loadedKey: string;
  #loading: Promise<void> | undefined;
  #fresh = false;
  #trouble: CoppiceError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #watching: vscode.Disposable | undefined;

  readonly onDidChangeTreeData = this.#changed.event as vscode.Event<Row[] | undefined>;

  constructor(connection: EngineConnection, viewId: ViewId, loadedKey: string, multiSelect: boolean) {
    super();
    this.id = viewId;
    this.#connection = connection;
    this.#loadedKey = loadedKey;
    this.#view = this._register(
      vscode.window.createTreeView<Row>(viewId, {
        treeDataProvider: this,
        showCollapseAll: viewId === views.lineage.id,
        canSelectMany: multiSelect,
      }),
    );
    this._register(this.#view.onDidChangeVisibility(({ visible }) => (visible ? this.#shown() : this.#hidden())));
    this._register(connection.onEvent(event => this.#take(event)));
    this._register(
      connection.onDidChangeState(state => {
        if (this.#loading) return; // Our own load made the connection and shows how it went.
        if (state.kind === 'connected') this.refresh();
        if (state.kind === 'failed') this.#show(state.error);
      }),
    );
    this._register({ dispose: () => this.#hidden() });
  }

  /** Asks the engine for all that is shown. */
  protected abstract load(): Promise<void>;
  protected abstract roots(): readonly Row[];
  /** Takes a change into what is shown; only called while visible and loaded. */
  protected abstract take(event: EngineEvent): void;
  /** Called every second while visible, to name rows whose words depend on the time. */
  protected abstract tick(now: number): void;

  get selection(): readonly Row[] {
    return this.#view.selection;
  }

  protected get view(): vscode.TreeView<Row> {
    return this.#view;
  }

  protected rowChanged(row: Row): void {
    this.#pending.add(row);
    this.#timer ??= setTimeout(() => this.flush(), FIRE_AFTER_MS);
  }

  /** The roots themselves came or went. */
  protected rootsChanged(): void {
    this.#pending.clear();
    this.#changed.fire(undefined);
  }

  /** Resolves when what is shown is loaded. */
  protected async ready(): Promise<void> {
    if (!this.#fresh) await this.#loadOnce();
    if (this.#trouble) throw this.#trouble;
  }

  refresh(): void {
    this.#fresh = false;
    if (this.#view.visible) this.#changed.fire(undefined);
  }

  async getChildren(row?: Row): Promise<Row[]> {
    if (row) return [...row.children()];
    if (!this.#fresh) await this.#loadOnce();
    return this.#trouble ? troubleRows(this.#trouble) : [...this.roots()];
  }

  getTreeItem(row: Row): vscode.TreeItem {
    const item = row.item(Date.now());
    item.id = row.id;
    return item;
  }

  getParent(row: Row): Row | undefined {
    return row.parent;
  }

  async resolveTreeItem(item: vscode.TreeItem, row: Row): Promise<vscode.TreeItem> {
    if (row.tooltip) item.tooltip = await row.tooltip();
    return item;
  }

  async #loadOnce(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    await this.#loading;
  }

  async #load(): Promise<void> {
    try {
      await this.#connection.client();
      await this.load();
      this.#meet(undefined);
      void vscode.commands.executeCommand('setContext', this.#loadedKey, true);
    } catch (error) {
      this.#meet(asCoppiceError(error));
    }
    this.#fresh = true;
  }

  #show(trouble: CoppiceError): void {
    this.#meet(trouble);
    this.#fresh = true;
    if (this.#view.visible) this.#changed.fire(undefined);
  }

  #meet(trouble: CoppiceError | undefined): void {
    this.#trouble = trouble;
    // @ts-expect-error undefined takes the message away, which the types leave out.
    this.#view.message = trouble && troubleText(trouble);
  }

  #shown(): void {
    this.#watching ??= this.#connection.watch();
    this.#ticker ??= setInterval(() => this.tick(Date.now()), 1000);
    if (!this.#fresh && !this.#loading && this.#view.visible) this.#changed.fire(undefined);
  }

  #hidden(): void {
    this.#watching?.dispose();
    this.#watching = undefined;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #take(event: EngineEvent): void {
    if (!this.#view.visible || event.topic === 'lagged') {
      this.refresh();
      return;
    }
    if (this.#loading) {
      void this.#loading.then(() => this.#take(event));
      return;
    }
    if (this.#fresh && !this.#trouble) this.take(event);
  }

  /** Fires what has changed until now. */
  protected flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rows = [...this.#pending];
    this.#pending.clear();
    if (this.#view.visible && rows.length > 0) this.#changed.fire(rows);
  }
}

/** What is wrong and the cure, in the view's own text: rows would cut it off. */
function troubleText(error: CoppiceError): string {
  return [error.message, error.fix]
    .filter(part => part !== undefined)
    .map(sentence)
    .join(' ');
}

/** The ways out, as rows that a keyboard and a screen reader reach. */
function troubleRows(error: CoppiceError): Row[] {
  return [
    leaf('trouble.again', 'Try Again', new vscode.ThemeIcon('refresh'), 'coppice.refresh'),
    error.code === 'runtime_unavailable'
      ? leaf('trouble.doctor', 'Check the Engine', new vscode.ThemeIcon('pulse'), 'coppice.doctor')
      : leaf('trouble.log', 'Show Engine Log', new vscode.ThemeIcon('output'), 'coppice.showEngineLog'),
  ];
}

export function leaf(id: string, label: string, icon: vscode.ThemeIcon, command: CommandId, parent?: Row): Row {
  return {
    id,
    parent,
    children: () => [],
    item: () => {
      const item = new vscode.TreeItem(label);
      item.iconPath = icon;
      item.tooltip = label;
      item.command = { command, title: label };
      return item;
    },
  };
}

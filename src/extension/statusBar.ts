import * as vscode from 'vscode';
import { currentFolder } from './currentFolder.ts';
import { Disposable } from './disposable.ts';
import type { EngineConnection } from './engineConnection.ts';
import type { LiveOperations } from './liveOperations.ts';
import { settingOf } from './settings.ts';
import { imageName, shortId } from './views/labels.ts';

/** What runs start from and whether something runs. Asks the engine only once something else has connected to it. */
export class StatusBar extends Disposable {
  readonly #item = this._register(
    vscode.window.createStatusBarItem('coppice.status', vscode.StatusBarAlignment.Left, 10),
  );
  readonly #connection: EngineConnection;
  readonly #live: LiveOperations;
  readonly #log: vscode.LogOutputChannel;
  #head = '';

  constructor(connection: EngineConnection, live: LiveOperations, log: vscode.LogOutputChannel) {
    super();
    this.#connection = connection;
    this.#live = live;
    this.#log = log;
    this.#item.name = 'Coppice';
    this.#item.command = 'coppice.showMenu';
    this._register(live.onDidChange(() => this.#draw()));
    this._register(
      connection.onDidChangeState(state => {
        if (state.kind === 'connected') void this.#askHead();
        this.#draw();
      }),
    );
    this._register(
      connection.onEvent(event => {
        if (event.topic === 'branch' || event.topic === 'lagged') void this.#askHead();
      }),
    );
    this._register(
      vscode.workspace.onDidChangeConfiguration(change => {
        if (change.affectsConfiguration('coppice.image')) void this.#askHead();
      }),
    );
    this._register(
      vscode.window.onDidChangeActiveTextEditor(() => {
        if ((vscode.workspace.workspaceFolders?.length ?? 0) > 1) void this.#askHead();
      }),
    );
    this.#draw();
    this.#item.show();
  }

  /** For tests. */
  get text(): string {
    return this.#item.text;
  }

  async #askHead(): Promise<void> {
    if (this.#connection.state.kind !== 'connected') return;
    try {
      this.#head = await this.#findHead();
    } catch (error) {
      this.#head = '';
      this.#log.warn(`the head is not known: ${String(error)}`);
    }
    this.#draw();
  }

  async #findHead(): Promise<string> {
    const folder = currentFolder();
    const image = settingOf('coppice.image', folder?.uri);
    if (image !== '') return image;
    if (folder?.uri.scheme !== 'file') return '';
    const { branches, checked_out } = await this.#connection.call('branches', { workspace: folder.uri.fsPath });
    const branch = branches.find(candidate => candidate.name === checked_out);
    if (!branch) return '';
    const head = await this.#connection.call('get_image', { image: branch.head });
    return `${branch.name}: ${head.tag === null ? shortId(head.uuid) : imageName(head)}`;
  }

  #draw(): void {
    const { state } = this.#connection;
    const running = this.#live.count;
    const words = [this.#head || 'Coppice', ...(running > 0 ? [`${running} running`] : [])];
    this.#item.text = `${icon(state.kind, running)} ${words.join(' · ')}`;
    this.#item.tooltip = tooltip(this.#connection, this.#head, running);
    this.#item.accessibilityInformation = { label: `Coppice: ${words.join(', ')}` };
    this.#item.backgroundColor =
      state.kind === 'failed' ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
  }
}

function icon(kind: EngineConnection['state']['kind'], running: number): string {
  if (kind === 'failed') return '$(warning)';
  return kind === 'connecting' || running > 0 ? '$(loading~spin)' : '$(type-hierarchy-sub)';
}

function tooltip({ state }: EngineConnection, head: string, running: number): string {
  if (state.kind === 'failed') return `Coppice: ${state.error.message}\n${state.error.fix ?? ''}`.trimEnd();
  if (state.kind === 'idle') return 'Coppice: sandboxes for this workspace. The engine starts when it is needed.';
  if (state.kind === 'connecting') return 'Coppice: starting the engine…';
  return `Coppice: runs start from ${head || 'the default image'}\n${running} running · engine ${state.engine.version}, pid ${state.engine.pid}`;
}

import * as vscode from 'vscode';
import type { CallOptions } from '../../client/engineClient.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import { Disposable } from '../disposable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { concernsSync, folderSettings } from './folderSettings.ts';
import { FolderSync, type SyncStatus } from './folderSync.ts';

/** Remembered of a workspace in which something of Coppice was used: auto-sync then starts with the window. */
const USED = 'coppice.used';

/**
 * Auto-sync of all workspace folders. It starts with the first use of Coppice in a workspace, never in one that is not
 * trusted, and asks nothing of the engine before.
 */
export class WorkspaceSync extends Disposable {
  readonly #connection: EngineConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #script: string;
  readonly #memory: vscode.Memento;
  readonly #changed = this._register(new vscode.EventEmitter<void>());
  readonly #folders = new Map<string, FolderSync>();
  #begun = false;

  readonly onDidChange = this.#changed.event;

  constructor(parts: {
    readonly connection: EngineConnection;
    readonly log: vscode.LogOutputChannel;
    readonly script: string;
    readonly memory: vscode.Memento;
  }) {
    super();
    this.#connection = parts.connection;
    this.#log = parts.log;
    this.#script = parts.script;
    this.#memory = parts.memory;
    this.#open();
    this._register(vscode.workspace.onDidGrantWorkspaceTrust(() => this.#open()));
    this._register(
      vscode.workspace.onDidChangeWorkspaceFolders(({ removed }) => {
        for (const folder of removed) this.#forget(folder);
        this.#open();
      }),
    );
    this._register(
      vscode.workspace.onDidChangeConfiguration(change => {
        for (const { folder } of this.statuses) if (concernsSync(change, folder)) this.#forget(folder);
        this.#open();
      }),
    );
    this._register(
      parts.connection.onDidChangeState(({ kind }) => {
        if (kind === 'connected') this.#begin();
      }),
    );
    this._register({ dispose: () => this.#closeAll() });
    if (this.#memory.get(USED) === true) setImmediate(() => this.#begin());
  }

  get statuses(): readonly SyncStatus[] {
    return [...this.#folders.values()].map(folder => folder.status);
  }

  of(folder: vscode.WorkspaceFolder): FolderSync | undefined {
    return this.#folders.get(folder.uri.toString());
  }

  /** For a run: the folder as it is on disk now; undefined where it is not to be or cannot be synced. */
  async stateOf(folder: vscode.WorkspaceFolder, options: CallOptions = {}): Promise<VerbResult<'rsync'> | undefined> {
    const sync = this.of(folder);
    return sync === undefined || sync.status.kind === 'off' ? undefined : sync.sync(options);
  }

  #begin(): void {
    if (this.#begun || this.isDisposed) return;
    this.#begun = true;
    if (this.#memory.get(USED) !== true) void this.#memory.update(USED, true);
    for (const folder of this.#folders.values()) folder.watch();
  }

  #open(): void {
    if (!vscode.workspace.isTrusted || this.isDisposed) return;
    for (const folder of vscode.workspace.workspaceFolders ?? []) {
      if (this.of(folder)) continue;
      const sync = new FolderSync({
        folder,
        settings: folderSettings(folder, this.#connection.home),
        connection: this.#connection,
        log: this.#log,
        script: this.#script,
      });
      this.#folders.set(folder.uri.toString(), sync);
      sync.onDidChange(() => this.#changed.fire());
      if (this.#begun) sync.watch();
    }
    this.#changed.fire();
  }

  #forget(folder: vscode.WorkspaceFolder): void {
    this.of(folder)?.dispose();
    this.#folders.delete(folder.uri.toString());
  }

  #closeAll(): void {
    for (const folder of this.#folders.values()) folder.dispose();
    this.#folders.clear();
  }
}

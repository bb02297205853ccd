import * as vscode from 'vscode';
import type { ImageView } from '../protocol/schemas/images.ts';
import type { OperationView } from '../protocol/schemas/operations.ts';
import { panel } from './contributions.ts';
import { Disposable } from './disposable.ts';
import type { EngineConnection } from './engineConnection.ts';
import type { RunsPanels } from './panel/runsPanels.ts';
import { destinationOf } from './sync/folderSettings.ts';
import type { WorkspaceSync } from './sync/workspaceSync.ts';

interface Parts {
  readonly connection: EngineConnection;
  readonly sync: WorkspaceSync;
  readonly log: vscode.LogOutputChannel;
  readonly extension: vscode.Uri;
  readonly memento: vscode.Memento;
}

/** The way to the Parallel Runs panel, which is loaded when it is first opened. */
export class ParallelRuns extends Disposable {
  readonly #parts: Parts;
  #panels: Promise<RunsPanels> | undefined;

  constructor(parts: Parts) {
    super();
    this.#parts = parts;
    this._register(
      vscode.window.registerWebviewPanelSerializer(panel.type, {
        deserializeWebviewPanel: async restored => (await this.#load()).restore(restored),
      }),
    );
  }

  async open(): Promise<void> {
    (await this.#load()).open();
  }

  async openOperations(operations: readonly OperationView[]): Promise<void> {
    await (await this.#load()).openOperations(operations);
  }

  async openImage({ tag, uuid }: ImageView): Promise<void> {
    (await this.#load()).openSetup({ image: tag === null ? uuid : `tag:${tag}` });
  }

  #load(): Promise<RunsPanels> {
    this.#panels ??= import('./panel/runsPanels.ts').then(({ RunsPanels }) =>
      this._register(new RunsPanels({ ...this.#parts, syncNow: (folder, signal) => this.#syncNow(folder, signal) })),
    );
    return this.#panels;
  }

  async #syncNow(folder: vscode.WorkspaceFolder, signal: AbortSignal) {
    const state = await this.#parts.sync.stateOf(folder, { signal });
    return state && { id: state.directory_state_id, destination: destinationOf(folder) };
  }
}

import * as vscode from 'vscode';
import type { Setup, Subject } from '../../../webview/protocol.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { panel as contribution } from '../contributions.ts';
import { Disposable } from '../disposable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { GroupStore } from './groupStore.ts';
import { emptySetup } from './readSetup.ts';
import { RunsPanel } from './runsPanel.ts';
import { StartRuns, type SyncNow } from './startRuns.ts';

/** The Parallel Runs panel: there is one, opened by command, by a deep link, or by VS Code after a reload. */
export class RunsPanels extends Disposable {
  readonly #parts;
  #panel: RunsPanel | undefined;

  constructor(parts: {
    readonly connection: EngineConnection;
    readonly log: vscode.LogOutputChannel;
    readonly extension: vscode.Uri;
    readonly memento: vscode.Memento;
    readonly syncNow: SyncNow;
  }) {
    super();
    const groups = new GroupStore(parts.memento);
    this.#parts = { ...parts, groups, starts: new StartRuns(parts.connection, groups, parts.syncNow) };
    this._register({ dispose: () => this.#panel?.dispose() });
  }

  /** As it was left. */
  open(): void {
    if (this.#panel) this.#panel.reveal();
    else
      this.#adopt(
        vscode.window.createWebviewPanel(contribution.type, contribution.title, vscode.ViewColumn.Active),
        false,
      );
  }

  /** After a reload: what it showed is in the page's own state, which the page tells. */
  restore(panel: vscode.WebviewPanel): void {
    this.#panel?.dispose();
    this.#adopt(panel, true);
  }

  async openOperations(operations: readonly OperationView[]): Promise<void> {
    this.open();
    await this.#panel!.show(subjectOf(operations));
  }

  openSetup(setup: Partial<Setup>): void {
    this.open();
    this.#panel!.offer({ ...emptySetup, ...setup });
  }

  #adopt(panel: vscode.WebviewPanel, restored: boolean): void {
    const made = new RunsPanel(panel, this.#parts, restored);
    this.#panel = made;
    panel.onDidDispose(() => {
      if (this.#panel === made) this.#panel = undefined;
    });
  }
}

/** A run that was started with others is shown among them. */
function subjectOf(operations: readonly OperationView[]): Subject {
  const groups = new Set(operations.map(({ group }) => group));
  const [group] = groups;
  if (groups.size === 1 && group) return { kind: 'group', id: group };
  return { kind: 'operations', ids: operations.map(({ operation_id }) => operation_id) };
}

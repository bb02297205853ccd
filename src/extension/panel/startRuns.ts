import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import type { Setup } from '../../../webview/protocol.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { settingOf } from '../settings.ts';
import type { GroupStore } from './groupStore.ts';
import { type StartPlace, startGroup } from './startGroup.ts';

/** The folder's files as a directory state: as they are on disk now. Undefined where they cannot be synced. */
export type SyncNow = (
  folder: vscode.WorkspaceFolder,
  signal: AbortSignal,
) => Promise<{ readonly id: string; readonly destination: string } | undefined>;

/** Starts what a set-up says, in the workspace as it is. */
export class StartRuns {
  readonly #connection: EngineConnection;
  readonly #groups: GroupStore;
  readonly #syncNow: SyncNow;

  constructor(connection: EngineConnection, groups: GroupStore, syncNow: SyncNow) {
    this.#connection = connection;
    this.#groups = groups;
    this.#syncNow = syncNow;
  }

  mustBeTrusted(): void {
    if (vscode.workspace.isTrusted) return;
    throw new CoppiceError('fenced', 'this workspace is not trusted, so nothing of it is run', {
      fix: 'Trust it by the command “Workspaces: Manage Workspace Trust”',
    });
  }

  /** `opened` is called as soon as there is something to see. */
  async start(setup: Setup, opened: (group: string) => void): Promise<void> {
    this.mustBeTrusted();
    const group = `runs-${randomBytes(6).toString('hex')}`;
    await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: 'Starting runs', cancellable: true },
      async (progress, cancelled) => {
        const abort = new AbortController();
        cancelled.onCancellationRequested(() => abort.abort());
        const place = await this.#place(setup, abort.signal);
        const started = async (count: number, of: number) => {
          progress.report({ message: `${count} of ${of}` });
          if (count > 1) return;
          // Not before the first was taken: a set-up that the engine refuses leaves no empty group.
          await this.#groups.add(group, setup);
          opened(group);
        };
        await startGroup(this.#connection, group, setup, place, started, abort.signal);
      },
    );
  }

  async #place(setup: Setup, signal: AbortSignal): Promise<StartPlace> {
    const folder = vscode.workspace.workspaceFolders?.[0];
    const isHere = folder?.uri.scheme === 'file';
    return {
      workspace: isHere ? folder.uri.fsPath : undefined,
      image: settingOf('coppice.image', folder?.uri),
      state: isHere ? await this.#state(folder, setup.directoryState, signal) : undefined,
    };
  }

  async #state(
    folder: vscode.WorkspaceFolder,
    which: Setup['directoryState'],
    signal: AbortSignal,
  ): Promise<StartPlace['state']> {
    if (which === 'none') return undefined;
    if (which === 'current') return this.#syncNow(folder, signal);
    const { states } = await this.#connection.call('states', { source: folder.uri.fsPath, limit: 1 });
    const [last] = states;
    if (last) return { id: last.directory_state_id, destination: last.destination };
    throw new CoppiceError('state_not_found', `${folder.name} was never synced`, { fix: 'Choose the current state' });
  }
}

import { homedir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import type { ChangedFiles, DownloadView, Row } from '../../../webview/protocol.ts';
import type { VerbCaller } from '../../client/engineClient.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { Disposable } from '../disposable.ts';
import { Downloads, folderName, wantedIn } from './downloads.ts';

const MOST_ENTRIES = 5_000;

interface Run {
  readonly operation: OperationView;
  readonly row: Row;
}

/** What runs created or changed, and taking it out of them. */
export class Artifacts extends Disposable {
  readonly #caller: VerbCaller;
  readonly #downloads: Downloads;
  #lastFolder: vscode.Uri | undefined;

  constructor(caller: VerbCaller, changed: () => void) {
    super();
    this.#caller = caller;
    this.#downloads = this._register(new Downloads(caller, changed));
  }

  get downloads(): readonly DownloadView[] {
    return this.#downloads.views;
  }

  cancelDownload(download: number): void {
    this.#downloads.cancel(download);
  }

  async changedFiles({
    operation_id: id,
    image,
    result_image: result,
    disposable,
  }: OperationView): Promise<ChangedFiles> {
    const none = (problem: string | null): ChangedFiles => ({ type: 'files', id, entries: [], total: 0, problem });
    if (disposable) return none('This run was not kept: what it wrote is gone. Turn on “Keep results” for the next.');
    if (result === null) return none('There is no result to look at.');
    if (result === image || image === null) return none(null);
    try {
      const { entries, total } = await this.#caller.call('diff', {
        image: result,
        against: image,
        limit: MOST_ENTRIES,
      });
      return {
        ...none(null),
        entries: entries.map(({ path: inside, change, type: kind, size }) => ({ path: inside, change, kind, size })),
        total,
      };
    } catch (error) {
      return none((error as Error).message);
    }
  }

  /** A copy beside nothing of the workspace, opened like any file. */
  async openFile({ operation_id, result_image: image }: OperationView, inside: string): Promise<void> {
    if (image === null) return;
    await vscode.commands.executeCommand(
      'vscode.open',
      vscode.Uri.from({ scheme: 'coppice', authority: image, path: inside }),
      undefined,
      `${path.posix.basename(inside)} (${operation_id.slice(0, 9)})`,
    );
  }

  /** From one run right into the chosen folder, from several each into a folder of its own. */
  async download(runs: readonly Run[], columns: readonly string[], paths: readonly string[]): Promise<void> {
    const kept = runs.filter(({ operation }) => operation.result_image !== null && !operation.disposable);
    if (kept.length === 0 || paths.length === 0) return;
    const folder = await this.#askFolder();
    if (!folder) return;
    const wanted = kept.flatMap(({ operation, row }) => {
      const labels = columns.map((name, index) => [name, row.labels[index] ?? ''] as const);
      const into = kept.length === 1 ? folder.fsPath : path.join(folder.fsPath, folderName(row.number, labels));
      return wantedIn(into, operation.result_image!, paths);
    });
    const from = kept.length === 1 ? `run ${kept[0]!.row.number}` : `${kept.length} runs`;
    const what = paths.length === 1 ? path.posix.basename(paths[0]!) : `${paths.length} items`;
    const places = await this.#downloads.start(`${what} of ${from}`, wanted);
    if (places) void this.#offerToOpen(places, folder);
  }

  async #askFolder(): Promise<vscode.Uri | undefined> {
    const [folder] =
      (await vscode.window.showOpenDialog({
        title: 'Download to',
        openLabel: 'Download',
        canSelectFiles: false,
        canSelectFolders: true,
        defaultUri: this.#lastFolder ?? vscode.workspace.workspaceFolders?.[0]?.uri ?? vscode.Uri.file(homedir()),
      })) ?? [];
    this.#lastFolder = folder ?? this.#lastFolder;
    return folder;
  }

  async #offerToOpen(places: readonly string[], folder: vscode.Uri): Promise<void> {
    const [place] = places;
    const single = places.length === 1 && place !== folder.fsPath ? vscode.Uri.file(place!) : undefined;
    const action = single ? 'Open' : 'Reveal';
    const chosen = await vscode.window.showInformationMessage(
      `Downloaded to ${single ? place : folder.fsPath}`,
      action,
    );
    if (chosen === 'Open') await vscode.commands.executeCommand('vscode.open', single);
    if (chosen === 'Reveal') await vscode.commands.executeCommand('revealInExplorer', folder);
  }
}

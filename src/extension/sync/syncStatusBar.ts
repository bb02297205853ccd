import * as vscode from 'vscode';
import { currentFolder } from '../currentFolder.ts';
import { Disposable } from '../disposable.ts';
import { byteSize, sentence } from '../views/labels.ts';
import type { SyncStatus } from './folderSync.ts';
import type { WorkspaceSync } from './workspaceSync.ts';

/** The current folder's directory state: `ds-3f2a91c` when it is what is on disk. */
export class SyncStatusBar extends Disposable {
  readonly #item = this._register(vscode.window.createStatusBarItem('coppice.sync', vscode.StatusBarAlignment.Left, 9));
  readonly #sync: WorkspaceSync;

  constructor(sync: WorkspaceSync) {
    super();
    this.#sync = sync;
    this.#item.name = 'Coppice Sync';
    this.#item.command = 'coppice.syncMenu';
    this._register(sync.onDidChange(() => this.#draw()));
    this._register(vscode.window.onDidChangeActiveTextEditor(() => this.#draw()));
    this.#draw();
  }

  /** For tests: what is shown, undefined when hidden. */
  get text(): string | undefined {
    return this.#shown;
  }
  #shown: string | undefined;

  #draw(): void {
    const folder = currentFolder();
    const statuses = this.#sync.statuses;
    const status = folder && this.#sync.of(folder)?.status;
    const words = status && wordsOf(status);
    this.#shown = words?.text;
    if (!words) {
      this.#item.hide();
      return;
    }
    this.#item.text = words.text;
    this.#item.tooltip = tooltip(statuses);
    this.#item.accessibilityInformation = { label: `Coppice sync: ${words.spoken}` };
    this.#item.backgroundColor = words.warns ? new vscode.ThemeColor('statusBarItem.warningBackground') : undefined;
    this.#item.show();
  }
}

export const shortState = (id: string): string => id.slice(0, 'ds-'.length + 7);

interface Words {
  readonly text: string;
  readonly spoken: string;
  readonly warns: boolean;
}

/** undefined: nothing is worth a place in the status bar. */
function wordsOf(status: SyncStatus): Words | undefined {
  const id = status.state === undefined ? undefined : shortState(status.state.directory_state_id);
  if (status.syncing) return { text: `$(sync~spin) ${id ?? 'syncing'}`, spoken: 'syncing', warns: false };
  if (status.trouble) {
    return { text: `$(warning) ${id ?? 'not synced'}`, spoken: sentence(status.trouble.message), warns: true };
  }
  if (status.settings.refused !== undefined) {
    return { text: '$(circle-slash) not synced', spoken: `not synced: ${status.settings.refused}`, warns: false };
  }
  if (id === undefined) return undefined;
  if (status.kind === 'watching') return { text: `$(check) ${id}`, spoken: `state ${id}`, warns: false };
  if (status.kind === 'paused') return { text: `$(debug-pause) ${id}`, spoken: `paused at ${id}`, warns: false };
  return { text: `$(history) ${id}`, spoken: `last synced as ${id}`, warns: false };
}

function tooltip(statuses: readonly SyncStatus[]): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  for (const status of statuses) {
    text.appendMarkdown('**').appendText(status.folder.name).appendMarkdown('** → ');
    text.appendText(status.settings.destination).appendMarkdown('  \n');
    text.appendText(line(status)).appendMarkdown('\n\n');
  }
  return text;
}

function line({ settings, kind, state, syncing, trouble }: SyncStatus): string {
  if (syncing) return 'Syncing…';
  if (trouble)
    return [trouble.message, trouble.fix]
      .filter(part => part !== undefined)
      .map(sentence)
      .join(' ');
  if (settings.refused !== undefined) return sentence(`not synced: ${settings.refused}`);
  if (kind === 'off') return 'Off: runs see nothing but their file.';
  const what = state && `${state.directory_state_id} · ${state.files} files, ${byteSize(state.bytes)}`;
  if (kind === 'watching') return what ?? 'Auto-sync begins.';
  if (kind === 'paused') return `${what ?? ''} Paused: synced when something is run.`.trim();
  return `${what ?? ''} Synced when something is run.`.trim();
}

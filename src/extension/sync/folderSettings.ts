import * as vscode from 'vscode';
import { placesHere, whyNotByItself } from '../../workspace/byItself.ts';
import type { ExcludeOptions } from '../../workspace/excludes.ts';
import type { SyncMode } from '../contributions.ts';
import { settingOf } from '../settings.ts';

/** How one workspace folder is synced, by its settings. */
export interface FolderSettings {
  readonly mode: SyncMode;
  /** Where it appears inside. */
  readonly destination: string;
  readonly excludes: ExcludeOptions;
  /** Not watched, though synced. */
  readonly unwatched: readonly string[];
  /** Why it is not synced although the settings would have it. */
  readonly refused?: string;
}

const SETTINGS = ['coppice.sync', 'files.watcherExclude'] as const;

export function folderSettings(folder: vscode.WorkspaceFolder, home: string): FolderSettings {
  const mode = settingOf('coppice.sync.mode', folder.uri);
  const refused = mode === 'off' ? undefined : refusal(folder, home);
  return {
    mode: refused === undefined ? mode : 'off',
    destination: destinationOf(folder),
    excludes: {
      defaults: true,
      gitignore: settingOf('coppice.sync.gitignore', folder.uri),
      exclude: settingOf('coppice.sync.exclude', folder.uri).filter(pattern => pattern !== ''),
    },
    unwatched: unwatchedIn(folder),
    ...(refused === undefined ? {} : { refused }),
  };
}

/** Where a folder's files appear inside a sandbox, synced or not. */
export function destinationOf(folder: vscode.WorkspaceFolder): string {
  const set = settingOf('coppice.sync.destination', folder.uri).replace(/\/+$/, '');
  return set.startsWith('/') ? set : `/workspace/${folder.name.replaceAll(/[/\\\0]/g, '_')}`;
}

export function concernsSync(change: vscode.ConfigurationChangeEvent, folder: vscode.WorkspaceFolder): boolean {
  return SETTINGS.some(section => change.affectsConfiguration(section, folder.uri));
}

/** Nobody means all of a home folder when they open it; who says so for that very folder is heard. */
function refusal({ uri }: vscode.WorkspaceFolder, home: string): string | undefined {
  if (uri.scheme !== 'file') return 'its files are not on this machine';
  const said = vscode.workspace.getConfiguration('coppice.sync', uri).inspect('mode');
  if (said?.workspaceFolderValue !== undefined || said?.workspaceValue !== undefined) return undefined;
  return whyNotByItself(uri.fsPath, placesHere(home));
}

function unwatchedIn({ uri }: vscode.WorkspaceFolder): string[] {
  const patterns = vscode.workspace.getConfiguration('files', uri).get<Record<string, boolean>>('watcherExclude', {});
  return Object.keys(patterns).filter(pattern => patterns[pattern] === true);
}

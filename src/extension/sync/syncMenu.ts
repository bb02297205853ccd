import * as vscode from 'vscode';
import { cancellable } from '../cancellable.ts';
import { chooseFolder, currentFolder } from '../currentFolder.ts';
import type { ReportDocuments } from '../documents/reportDocuments.ts';
import type { FolderSync } from './folderSync.ts';
import { shortState } from './syncStatusBar.ts';
import type { WorkspaceSync } from './workspaceSync.ts';

const MOST_EXCLUDED = 10_000;

/** What the sync's place in the status bar offers, for the folder it shows. */
export async function showSyncMenu(sync: WorkspaceSync): Promise<void> {
  const folder = currentFolder();
  const status = folder && sync.of(folder)?.status;
  if (!folder || !status) {
    void vscode.window.showInformationMessage(
      vscode.workspace.isTrusted ? 'No folder is open.' : 'This workspace is not trusted, so nothing of it is synced.',
    );
    return;
  }
  const id = status.state?.directory_state_id;
  const items: (vscode.QuickPickItem & { readonly run: () => unknown })[] = [
    { label: '$(sync) Sync Now', run: () => vscode.commands.executeCommand('coppice.syncNow', folder) },
    ...(status.settings.mode === 'on'
      ? [
          {
            label: status.kind === 'watching' ? '$(debug-pause) Pause Auto-Sync' : '$(debug-start) Resume Auto-Sync',
            description: status.kind === 'watching' ? 'until it is resumed, it is synced when something is run' : '',
            run: () => vscode.commands.executeCommand('coppice.pauseSync', folder),
          },
        ]
      : []),
    {
      label: '$(eye-closed) Show Excluded Files',
      run: () => vscode.commands.executeCommand('coppice.showExcluded', folder),
    },
    ...(id === undefined
      ? []
      : [{ label: '$(copy) Copy State Id', description: id, run: () => vscode.env.clipboard.writeText(id) }]),
    {
      label: '$(settings-gear) Sync Settings',
      description: `coppice.sync.mode: ${status.settings.mode}`,
      run: () => vscode.commands.executeCommand('workbench.action.openSettings', 'coppice.sync'),
    },
    { label: '$(output) Open Log', run: () => vscode.commands.executeCommand('coppice.showLog') },
  ];
  const title = `Sync of ${folder.name}${id === undefined ? '' : ` · ${shortState(id)}`}`;
  const placeHolder = status.trouble?.message ?? status.settings.refused ?? `Synced to ${status.settings.destination}`;
  await (await vscode.window.showQuickPick(items, { title, placeHolder }))?.run();
}

export async function syncNow(sync: WorkspaceSync, given?: vscode.WorkspaceFolder): Promise<void> {
  const folder = await folderSync(sync, given);
  if (folder === undefined) return;
  await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: `Syncing ${folder.status.folder.name}` },
    progress => folder.sync({ onProgress: ({ message }) => progress.report({ message }) }),
  );
}

export async function pauseOrResume(sync: WorkspaceSync, given?: vscode.WorkspaceFolder): Promise<void> {
  const folder = await folderSync(sync, given);
  if (folder?.status.kind === 'watching') folder.pause();
  else folder?.watch();
}

/** A page of what is left out, and by which rules. */
export async function showExcluded(
  sync: WorkspaceSync,
  reports: ReportDocuments,
  given?: vscode.WorkspaceFolder,
): Promise<void> {
  const folder = await folderSync(sync, given);
  if (folder === undefined) return;
  const { folder: of, settings } = folder.status;
  const { paths, more } = await cancellable(`Looking for excluded files in ${of.name}`, async signal => {
    const { excludedPaths } = await import('../../workspace/excludedPaths.ts');
    return excludedPaths(of.uri.fsPath, settings.excludes, MOST_EXCLUDED, signal);
  });
  const rules = [
    'the defaults (.git, node_modules, __pycache__, .venv, target, dist, build and the like)',
    ...(settings.excludes.gitignore ? ['.gitignore files'] : []),
    '.coppiceignore files',
    ...(settings.excludes.exclude.length > 0 ? [`coppice.sync.exclude: ${settings.excludes.exclude.join(', ')}`] : []),
  ];
  const lines = [
    `Left out when ${of.name} is synced, by ${rules.join('; ')}.`,
    '',
    ...(paths.length === 0 ? ['Nothing.'] : paths),
    ...(more ? [`… and more than ${MOST_EXCLUDED}`] : []),
  ];
  await reports.show(`Excluded from ${of.name}`, `${lines.join('\n')}\n`);
}

async function folderSync(sync: WorkspaceSync, given?: vscode.WorkspaceFolder): Promise<FolderSync | undefined> {
  const folder = given ?? (await chooseFolder('Which folder?'));
  return folder && sync.of(folder);
}

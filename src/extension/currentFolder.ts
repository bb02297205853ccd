import * as vscode from 'vscode';
import { CoppiceError } from '../protocol/errors.ts';

/** The workspace folder of the active editor, else the first one. */
export function currentFolder(): vscode.WorkspaceFolder | undefined {
  const active = vscode.window.activeTextEditor?.document.uri;
  return (active && vscode.workspace.getWorkspaceFolder(active)) ?? vscode.workspace.workspaceFolders?.[0];
}

/** Asked only where there is a choice. */
export async function chooseFolder(placeHolder: string): Promise<vscode.WorkspaceFolder | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  return folders.length > 1 ? vscode.window.showWorkspaceFolderPick({ placeHolder }) : folders[0];
}

/** Which branch is checked out is kept for a folder of this machine. */
export async function folderForBranches(): Promise<vscode.WorkspaceFolder> {
  const folder = await chooseFolder('The branch of which folder?');
  if (folder?.uri.scheme === 'file') return folder;
  if (folder === undefined && (vscode.workspace.workspaceFolders?.length ?? 0) > 0)
    throw new CoppiceError('cancelled', 'no folder was chosen');
  throw new CoppiceError('invalid_input', 'a branch is checked out for a folder of this machine, and none is open', {
    fix: 'Open a folder',
  });
}

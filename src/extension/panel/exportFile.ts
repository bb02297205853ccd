import { homedir } from 'node:os';
import * as vscode from 'vscode';

const SAID_MS = 6_000;

/** Writes what was made here where the person says. */
export async function exportFile(name: string, bytes: Uint8Array): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri ?? vscode.Uri.file(homedir());
  const target = await vscode.window.showSaveDialog({ title: 'Export', defaultUri: vscode.Uri.joinPath(folder, name) });
  if (!target) return;
  await vscode.workspace.fs.writeFile(target, bytes);
  vscode.window.setStatusBarMessage(`$(check) ${target.fsPath}`, SAID_MS);
}

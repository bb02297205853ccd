import * as vscode from 'vscode';
import { type CommandId, commands } from '../contributions.ts';

const OFFERED: readonly (CommandId | `${string}.focus`)[] = [
  'coppice.runInSandbox',
  'coppice.runScript',
  'coppice.runCommand',
  'coppice.shell',
  'coppice.chooseImage',
  'coppice.checkout',
  'coppice.newBranch',
  'coppice.rollback',
  'coppice.importImage',
  'coppice.buildImage',
  'coppice.images.focus',
  'coppice.lineage.focus',
  'coppice.operations.focus',
  'coppice.setUpAgent',
  'coppice.doctor',
  'coppice.showEngineLog',
  'coppice.showLog',
];
const FOCUS: Readonly<Record<string, string>> = {
  'coppice.images.focus': '$(layers) Show Images',
  'coppice.lineage.focus': '$(type-hierarchy) Show Lineage',
  'coppice.operations.focus': '$(list-unordered) Show Operations',
};

/** What the status bar item offers. */
export async function showMenu(): Promise<void> {
  const items = OFFERED.map(command => ({ command, label: FOCUS[command] ?? label(commands[command as CommandId]) }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Coppice' });
  if (chosen) await vscode.commands.executeCommand(chosen.command);
}

function label(text: { readonly title: string; readonly icon?: string }): string {
  return `${text.icon ?? '$(blank)'} ${text.title}`;
}

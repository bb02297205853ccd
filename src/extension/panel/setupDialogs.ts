import * as vscode from 'vscode';
import type { Setup } from '../../../webview/protocol.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import { commandLines } from './expandMatrix.ts';
import { SavedSetups } from './savedSetups.ts';

export async function saveSetup(setup: Setup): Promise<void> {
  const saved = savedSetups();
  const known = await saved.read();
  const name = await vscode.window.showInputBox({
    title: 'Save set-up',
    prompt: 'Kept in .vscode/coppice-runs.json; a name that is there is replaced',
    value: commandLines(setup.commands)[0]?.slice(0, 60) ?? '',
    validateInput: text =>
      text.trim() === ''
        ? 'A name'
        : known.has(text.trim())
          ? { message: 'Replaces the one of this name', severity: vscode.InputBoxValidationSeverity.Warning }
          : undefined,
  });
  if (name === undefined) return;
  await saved.save(name.trim(), setup);
}

const remove: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('trash'), tooltip: 'Remove' };

/** Undefined when none was chosen. */
export async function loadSetup(): Promise<Setup | undefined> {
  const saved = savedSetups();
  const setups = await saved.read();
  const pick = vscode.window.createQuickPick<vscode.QuickPickItem & { readonly setup: Setup }>();
  const { promise, resolve } = Promise.withResolvers<Setup | undefined>();
  pick.title = 'Load set-up';
  pick.placeholder = setups.size === 0 ? 'None is saved yet' : 'Set-ups of this workspace';
  pick.items = [...setups].map(([name, setup]) => ({
    label: name,
    detail: commandLines(setup.commands).join(' ; '),
    buttons: [remove],
    setup,
  }));
  pick.onDidAccept(() => {
    resolve(pick.selectedItems[0]?.setup);
    pick.hide();
  });
  pick.onDidTriggerItemButton(async ({ item }) => {
    await saved.remove(item.label);
    pick.items = pick.items.filter(other => other !== item);
  });
  pick.onDidHide(() => {
    resolve(undefined);
    pick.dispose();
  });
  pick.show();
  return promise;
}

function savedSetups(): SavedSetups {
  const folder = vscode.workspace.workspaceFolders?.[0];
  if (!folder)
    throw new CoppiceError('invalid_input', 'set-ups are kept in the workspace, and no folder is open', {
      fix: 'Open a folder',
    });
  return new SavedSetups(folder);
}

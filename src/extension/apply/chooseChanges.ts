import path from 'node:path';
import * as vscode from 'vscode';
import { changeUri } from '../files/imageUri.ts';
import { byteSize } from '../views/labels.ts';
import { type ApplyItem, type ApplyPlan, insidePath, localStats, localUri } from './applyPlan.ts';

interface Choice extends vscode.QuickPickItem {
  readonly item?: ApplyItem;
}

const PREVIEW: vscode.QuickInputButton = { iconPath: new vscode.ThemeIcon('diff'), tooltip: 'Show the difference' };
const MARKS = { A: '$(diff-added)', M: '$(diff-modified)', D: '$(diff-removed)', conflict: '$(warning)' } as const;
const WORDS = { A: 'added', M: 'modified', D: 'deleted', conflict: 'conflict' } as const;

/** All changes are chosen, conflicts are not; each shows its difference while the list stays open. */
export function chooseChanges(plan: ApplyPlan): Promise<readonly ApplyItem[] | undefined> {
  const pick = vscode.window.createQuickPick<Choice>();
  pick.title = titleOf(plan);
  pick.placeholder = 'What comes into the workspace; conflicts stay unless taken';
  pick.canSelectMany = true;
  pick.matchOnDescription = true;
  pick.ignoreFocusOut = true;
  pick.items = choicesOf(plan);
  pick.selectedItems = pick.items.filter(({ item }) => item !== undefined && item.change !== 'conflict');
  return new Promise(resolve => {
    pick.onDidTriggerItemButton(({ item }) => item.item && void preview(plan, item.item));
    pick.onDidAccept(() => {
      resolve(pick.selectedItems.flatMap(({ item }) => (item ? [item] : [])));
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

function titleOf({ folder, items, leftOut }: ApplyPlan): string {
  const conflicts = items.filter(({ change }) => change === 'conflict').length;
  const changes = items.length - conflicts;
  const words = [
    `Apply to ${folder.name}: ${changes} ${changes === 1 ? 'change' : 'changes'}`,
    ...(conflicts > 0 ? [`${conflicts} ${conflicts === 1 ? 'conflict' : 'conflicts'}`] : []),
    ...(leftOut > 0 ? [`${leftOut} excluded`] : []),
  ];
  return words.join(', ');
}

function choicesOf({ items }: ApplyPlan): Choice[] {
  const choices = items.map((item): Choice => {
    const folder = path.posix.dirname(item.path);
    return {
      label: `${MARKS[item.change]} ${path.posix.basename(item.path)}`,
      description: [WORDS[item.change], ...(folder === '.' ? [] : [folder]), ...sizeOf(item)].join(' · '),
      ...(item.reason === undefined ? {} : { detail: item.reason }),
      ...(item.type === 'directory' ? {} : { buttons: [PREVIEW] }),
      item,
    };
  });
  const firstConflict = items.findIndex(({ change }) => change === 'conflict');
  if (firstConflict < 0) return choices;
  const separator = { label: 'Conflicts', kind: vscode.QuickPickItemKind.Separator };
  return [...choices.slice(0, firstConflict), separator, ...choices.slice(firstConflict)];
}

const sizeOf = ({ change, type, size = 0 }: ApplyItem): string[] =>
  type === 'directory' || type === 'link' ? [type] : change === 'A' || change === 'M' ? [byteSize(size)] : [];

async function preview(plan: ApplyPlan, { path: file, change }: ApplyItem): Promise<void> {
  const here = localUri(plan, file);
  const there = changeUri(plan.image, insidePath(plan, file));
  const options: vscode.TextDocumentShowOptions = { preview: true, preserveFocus: true };
  const exists = localStats(plan, file) !== undefined;
  if (!exists) await vscode.commands.executeCommand('vscode.open', there, options);
  else if (change === 'D') await vscode.commands.executeCommand('vscode.open', here, options);
  else {
    const title = `${path.posix.basename(file)} (workspace ↔ sandbox)`;
    await vscode.commands.executeCommand('vscode.diff', here, there, title, options);
  }
}

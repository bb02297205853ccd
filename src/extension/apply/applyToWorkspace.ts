import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { cancellable } from '../cancellable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import type { ImageFiles } from '../files/imageFiles.ts';
import { type Applied, ApplyChanges } from './applyChanges.ts';
import { planApply } from './applyPlan.ts';
import { chooseChanges } from './chooseChanges.ts';

/** What a run changed in a synced folder comes into the workspace: looked at, chosen, and one edit. */
export async function applyToWorkspace(
  parts: {
    readonly connection: EngineConnection;
    readonly files: ImageFiles;
    readonly log: vscode.LogOutputChannel;
  },
  image: string,
  given?: readonly string[],
): Promise<Applied | undefined> {
  if (!vscode.workspace.isTrusted) {
    throw new CoppiceError('fenced', 'this workspace is not trusted, so nothing is written to it', {
      fix: 'Trust it by the command “Workspaces: Manage Workspace Trust”',
    });
  }
  const plan = await cancellable('Comparing with the workspace', signal => planApply(parts.connection, image, signal));
  if (plan.items.length === 0) {
    const excluded = plan.leftOut > 0 ? ` ${plan.leftOut} changed files are excluded from sync.` : '';
    void vscode.window.showInformationMessage(`Nothing to apply: ${plan.folder.name} has it all.${excluded}`);
    return undefined;
  }
  const chosen =
    given === undefined ? await chooseChanges(plan) : plan.items.filter(({ path }) => given.includes(path));
  if (chosen === undefined || chosen.length === 0) return undefined;
  const applied = await cancellable(`Applying ${chosen.length} changes`, signal =>
    new ApplyChanges(parts.connection, parts.files, parts.log, plan).apply(chosen, signal),
  );
  tell(plan.folder.name, applied);
  return applied;
}

function tell(folder: string, { changed, left }: Applied): void {
  const count = `${changed} ${changed === 1 ? 'change' : 'changes'}`;
  if (left.length === 0) vscode.window.setStatusBarMessage(`$(check) ${count} applied to ${folder}`, 8000);
  else void vscode.window.showWarningMessage(`${count} applied to ${folder}. ${left.slice(0, 3).join('. ')}.`);
}

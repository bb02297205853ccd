import * as vscode from 'vscode';
import type { VerbCaller } from '../../client/engineClient.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import { isBranchName } from '../../protocol/names.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { oneLine, shortId } from '../views/labels.ts';

/** The winner's image becomes the head of a branch that the person chooses. */
export async function makeHead(caller: VerbCaller, operation: OperationView): Promise<void> {
  const { result_image: image } = operation;
  if (image === null || operation.disposable) {
    throw new CoppiceError('unsupported', 'this run left no image', { fix: 'Run it with “Keep results” on' });
  }
  const folder = vscode.workspace.workspaceFolders?.[0];
  const workspace = folder?.uri.scheme === 'file' ? folder.uri.fsPath : undefined;
  const name = await askBranch(caller, workspace, oneLine(operation.title));
  if (name === undefined) return;
  const branch = await caller.call('branch', { name, image });
  void vscode.window.showInformationMessage(`${shortId(image)} is the head of ${branch.name}.`);
}

async function askBranch(
  caller: VerbCaller,
  workspace: string | undefined,
  title: string,
): Promise<string | undefined> {
  const { branches, checked_out } = await caller.call('branches', workspace === undefined ? {} : { workspace });
  const create = { label: '$(add) New branch…', name: undefined };
  const items = branches
    .toSorted((a, b) => Number(b.name === checked_out) - Number(a.name === checked_out))
    .map(({ name, head }) => ({
      label: name,
      description: `${shortId(head)}${name === checked_out ? ' · checked out here' : ''}`,
      name: name as string | undefined,
    }));
  const chosen =
    items.length === 0
      ? create
      : await vscode.window.showQuickPick([...items, create], {
          title: `Make it the head of: ${title}`,
          placeHolder: 'Branch',
        });
  if (!chosen) return undefined;
  if (chosen.name !== undefined) return chosen.name;
  const name = await vscode.window.showInputBox({
    title: 'New branch',
    prompt: 'Its head will be this run’s image',
    validateInput: text => (isBranchName(text.trim()) ? undefined : 'Letters, digits and . _ / -, at most 100'),
  });
  return name?.trim();
}

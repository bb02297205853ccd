import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { isBranchName } from '../../protocol/names.ts';
import type { BranchResult } from '../../protocol/schemas/branches.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { age, imageName, shortId } from '../views/labels.ts';

/** Branches of a workspace folder: which one its runs start from, and going back along it. */

const MOST_STEPS = 100;

export async function checkout(connection: EngineConnection, folder: vscode.WorkspaceFolder): Promise<void> {
  const workspace = folder.uri.fsPath;
  const { branches, checked_out } = await connection.call('branches', { workspace });
  const create = { label: '$(add) New Branch…', run: () => newBranch(connection, folder) };
  const none = {
    label: '$(circle-slash) No Branch',
    description: 'runs start from the default image, kept ones move nothing',
    run: () => connection.call('checkout', { name: null, workspace }),
  };
  const items = branches.map(branch => ({
    label: `$(git-branch) ${branch.name}`,
    description: [...(branch.name === checked_out ? ['checked out'] : []), shortId(branch.head)].join(' · '),
    detail: `${branch.position + 1} of ${branch.length} in its history, ${age(branch.updated_at, Date.now())}`,
    run: () => connection.call('checkout', { name: branch.name, workspace }),
  }));
  const chosen = await vscode.window.showQuickPick([create, ...items, ...(checked_out === null ? [] : [none])], {
    title: `Branch of ${folder.name}`,
    placeHolder: 'Runs start from its head, and a kept result becomes its head',
  });
  await chosen?.run();
}

/** At an image, else where runs start from now; checked out at once. */
export async function newBranch(
  connection: EngineConnection,
  folder: vscode.WorkspaceFolder,
  image?: string,
  given?: string,
): Promise<void> {
  const { branches } = await connection.call('branches', {});
  const taken = new Set(branches.map(branch => branch.name));
  const objection = (name: string) => {
    if (taken.has(name)) return 'There is a branch of this name';
    return isBranchName(name) ? undefined : 'Letters, digits and . _ / -, at most 100';
  };
  const name =
    given ??
    (await vscode.window.showInputBox({
      title: `New Branch of ${folder.name}`,
      prompt: image === undefined ? 'It starts where runs start from now' : `It starts at ${shortId(image)}`,
      placeHolder: 'name',
      validateInput: objection,
    }));
  if (name === undefined) return;
  const workspace = folder.uri.fsPath;
  await connection.call('branch', { name, workspace, ...(image === undefined ? {} : { image }) });
  await connection.call('checkout', { name, workspace });
}

/** To any image of the branch's history, back or forward: nothing is deleted. */
export async function rollback(
  connection: EngineConnection,
  folder: vscode.WorkspaceFolder,
  given?: string,
): Promise<void> {
  const workspace = folder.uri.fsPath;
  const { checked_out: name } = await connection.call('branches', { workspace });
  if (name === null) {
    throw new CoppiceError('invalid_input', `no branch is checked out in ${folder.name}`, {
      fix: 'Check one out, or make a new one; kept runs then move it',
    });
  }
  const steps = given === undefined ? await askSteps(connection, await connection.call('branch', { name })) : undefined;
  if (given === undefined && steps === undefined) return;
  const target = steps === undefined ? { image: given! } : { steps };
  const { head } = await connection.call('rollback', { name, ...target });
  vscode.window.setStatusBarMessage(`$(discard) ${name} is at ${shortId(head)}`, 5000);
}

async function askSteps(connection: EngineConnection, branch: BranchResult): Promise<number | undefined> {
  const items = await Promise.all(
    branch.history
      .map((step, position) => ({ ...step, position }))
      .slice(-MOST_STEPS)
      .toReversed()
      .map(async ({ image, at, position }) => ({
        label: `${position === branch.position ? '$(git-branch)' : '$(blank)'} ${await titleOf(connection, image)}`,
        description: `${shortId(image)} · ${age(at, Date.now())}${position === branch.position ? ' · here now' : ''}`,
        steps: branch.position - position,
      })),
  );
  const chosen = await vscode.window.showQuickPick(items, {
    title: `Roll Back ${branch.name}`,
    placeHolder: 'Where to? Nothing is deleted, and one can go forward again',
  });
  return chosen?.steps === 0 ? undefined : chosen?.steps;
}

async function titleOf(connection: EngineConnection, image: string): Promise<string> {
  try {
    return imageName(await connection.call('get_image', { image }));
  } catch (error) {
    if (error instanceof CoppiceError && error.code === 'image_not_found') return 'removed';
    throw error;
  }
}

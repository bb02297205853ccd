import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { DiffEntry } from '../../protocol/schemas/files.ts';
import { insidePath, localStats, localUri, planApply } from '../apply/applyPlan.ts';
import { cancellable } from '../cancellable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { imageName, shortId } from '../views/labels.ts';
import type { ImageFiles } from './imageFiles.ts';
import { changeUri, imageUri } from './imageUri.ts';

/** A multi-file diff holds an editor a file. */
const MOST_FILES = 1000;

/** One file's two sides; undefined where it is not there. */
type Change = [label: vscode.Uri, before: vscode.Uri | undefined, after: vscode.Uri | undefined];

/** Two images in the multi-file diff; without `against`, an image and its parent. */
export async function showImageChanges(connection: EngineConnection, image: string, against?: string): Promise<void> {
  const diff = await cancellable('Comparing images', signal =>
    connection.call('diff', { image, ...(against === undefined ? {} : { against }), limit: 20_000 }, { signal }),
  );
  const name = await nameOf(connection, image);
  if (diff.against === null) {
    void vscode.window.showInformationMessage(`${name} was imported: it has no parent to compare with.`);
    return;
  }
  const before = diff.against;
  const title = `${await nameOf(connection, before)} ↔ ${name}`;
  await showChanges(title, changesBetween(diff, before, image));
}

export function changesBetween({ entries }: { readonly entries: readonly DiffEntry[] }, before: string, after: string) {
  // A folder is shown by the files that came or went with it.
  return merged(entries.filter(entry => entry.type !== 'directory')).map(
    ({ path, had, has }): Change => [
      imageUri(after, path),
      had ? changeUri(before, path, after) : undefined,
      has ? changeUri(after, path) : undefined,
    ],
  );
}

/** What became another kind of file is told as deleted and added: for a reader that is one change. */
function merged(entries: readonly DiffEntry[]) {
  const paths = new Map<string, { path: string; had: boolean; has: boolean }>();
  for (const { path, change } of entries) {
    const known = paths.get(path);
    paths.set(path, {
      path,
      had: known?.had === true || change !== 'A',
      has: known?.has === true || change !== 'D',
    });
  }
  return [...paths.values()];
}

/** What a run did to a synced folder, beside the folder as it is now. */
export async function showWorkspaceChanges(
  connection: EngineConnection,
  files: ImageFiles,
  image: string,
): Promise<void> {
  const plan = await cancellable('Comparing with the workspace', signal => planApply(connection, image, signal));
  const changes: Change[] = [];
  for (const { path, type } of plan.items) {
    if (type === 'directory') continue;
    const here = localUri(plan, path);
    const inside = insidePath(plan, path);
    const there = await files.find(image, inside);
    changes.push([here, localStats(plan, path) && here, there && changeUri(image, inside)]);
  }
  await showChanges(`${plan.folder.name} ↔ ${await nameOf(connection, image)}`, changes);
}

async function showChanges(title: string, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) {
    void vscode.window.showInformationMessage(`${title}: nothing differs.`);
    return;
  }
  const shown = changes.slice(0, MOST_FILES);
  const count = `${changes.length} ${changes.length === 1 ? 'file' : 'files'}`;
  await vscode.commands.executeCommand('vscode.changes', title, shown);
  if (shown.length < changes.length) {
    void vscode.window.showInformationMessage(`${count} differ; the first ${shown.length} are shown.`);
  }
}

/** One file of an image beside the same file of another, which may not have it. */
export async function showFileDiff(
  connection: EngineConnection,
  files: ImageFiles,
  path: string,
  before: string,
  after: string,
): Promise<void> {
  if ((await files.find(before, path, after)) === undefined) {
    void vscode.window.showInformationMessage(`${path} is new: ${await nameOf(connection, before)} does not have it.`);
    return;
  }
  const title = `${path.split('/').at(-1)} (${await nameOf(connection, before)} ↔ ${await nameOf(connection, after)})`;
  await vscode.commands.executeCommand('vscode.diff', changeUri(before, path, after), changeUri(after, path), title);
}

export async function parentOf(connection: EngineConnection, image: string): Promise<string> {
  const { parent, uuid } = await connection.call('get_image', { image });
  if (parent !== null) return parent;
  throw new CoppiceError('invalid_input', `image ${shortId(uuid)} was imported: it has no parent`, {
    fix: 'Compare it with another image',
  });
}

async function nameOf(connection: EngineConnection, image: string): Promise<string> {
  const view = await connection.call('get_image', { image });
  return view.tag ?? `${imageName(view).slice(0, 40)} ${shortId(view.uuid)}`;
}

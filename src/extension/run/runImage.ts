import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import { importAsked, importImage } from '../commands/importImage.ts';
import { pickItem } from '../commands/pickImage.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { settingOf } from '../settings.ts';

/** Which image runs of a workspace folder start from: the setting, the branch's head, or one that is picked the first time. */

const MOST_OFFERED = 200;

/** undefined: the engine takes the head of the branch that is checked out, or what it is configured to take. */
export async function imageForRuns(
  connection: EngineConnection,
  folder: vscode.WorkspaceFolder | undefined,
): Promise<string | undefined> {
  const set = settingOf('coppice.image', folder?.uri);
  if (set !== '') return set;
  if (folder?.uri.scheme !== 'file' || process.env.COPPICE_IMAGE) return undefined;
  const { checked_out } = await connection.call('branches', { workspace: folder.uri.fsPath });
  if (checked_out === null)
    await startBranch(connection, folder, await pickOrImport(connection, `${folder.name}: choose an image to run in`));
  return undefined;
}

/** The image of a folder, chosen anew: a branch that is checked out moves there, else one is made. */
export async function chooseImage(
  connection: EngineConnection,
  folder: vscode.WorkspaceFolder,
  given: string | undefined,
): Promise<void> {
  const image = given ?? (await pickOrImport(connection, `Runs of ${folder.name} start from`));
  const { checked_out } = await connection.call('branches', { workspace: folder.uri.fsPath });
  if (checked_out === null) await startBranch(connection, folder, image);
  else await connection.call('branch', { name: checked_out, image });
  const name = checked_out ?? branchNameFor(folder, []);
  vscode.window.setStatusBarMessage(`$(git-branch) ${name}: ${image}`, 5000);
}

/** A branch named for the folder: kept results move it, and going back is one step. */
async function startBranch(connection: EngineConnection, folder: vscode.WorkspaceFolder, image: string): Promise<void> {
  const { branches } = await connection.call('branches', {});
  const name = branchNameFor(
    folder,
    branches.map(branch => branch.name),
  );
  const workspace = folder.uri.fsPath;
  await connection.call('checkout', { name, workspace, create_from: image });
}

/** Branches are global: another folder of the same name may have one. */
export function branchNameFor(folder: { readonly name: string }, taken: readonly string[]): string {
  const base =
    folder.name
      .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
      .slice(0, 80) || 'main';
  let name = base;
  for (let number = 2; taken.includes(name); number++) name = `${base}-${number}`;
  return name;
}

type ImageItem = vscode.QuickPickItem & { readonly image?: ImageView; readonly source?: string; readonly ask?: true };

/** One of those that are here, or one that is imported then. Closing it is a cancellation. */
export async function pickOrImport(connection: EngineConnection, title: string): Promise<string> {
  const { images } = await connection.call('list_images', { limit: MOST_OFFERED });
  const chosen = await vscode.window.showQuickPick(imageItems(images), {
    title,
    placeHolder: 'An image is a snapshot that your code runs in; your files are laid over it',
    matchOnDescription: true,
    matchOnDetail: true,
  });
  const image = chosen?.ask
    ? await importAsked(connection)
    : (chosen?.image?.uuid ?? (chosen?.source && (await importImage(connection, chosen.source))));
  if (!image) throw new CoppiceError('cancelled', 'no image was chosen');
  return image;
}

function imageItems(images: readonly ImageView[]): ImageItem[] {
  const host: ImageItem = {
    label: '$(vm) This machine',
    description: 'host:',
    detail: 'Its own tools, copy-on-write: no download, and nothing of the machine is changed',
    source: 'host:',
  };
  const other: ImageItem = { label: '$(cloud-download) Import another image…', ask: true };
  const hostIsHere = images.some(image => image.source === 'host:' && !image.drifted);
  return [
    ...section('Tagged', images.filter(image => image.tag !== null).map(pickItem)),
    ...section('Get one', [...(hostIsHere ? [] : [host]), other]),
    ...section('Recent', images.filter(image => image.tag === null).map(pickItem)),
  ];
}

function section(label: string, items: readonly ImageItem[]): ImageItem[] {
  return items.length === 0 ? [] : [{ label, kind: vscode.QuickPickItemKind.Separator }, ...items];
}

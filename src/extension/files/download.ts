import path from 'node:path';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import { cancellable } from '../cancellable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { byteSize } from '../views/labels.ts';
import { type ImageFiles, meant } from './imageFiles.ts';

export interface Download {
  readonly image: string;
  /** A file, a folder or a glob inside. */
  readonly path: string;
}

const GLOB = /[*?[\]{}]/;

/** Which files of the image; then where to. Both may be given. */
export async function askPath(image: string): Promise<string | undefined> {
  const answer = await vscode.window.showInputBox({
    title: 'Download from Image',
    prompt: `A file, a folder or a glob inside image ${image.slice(0, 8)}`,
    placeHolder: '/workspace/app/out/**/*.png',
    validateInput: text => (text.startsWith('/') ? undefined : 'An absolute path inside the image'),
  });
  return answer;
}

/** Takes files out of images, with progress and cancel; one place is asked for when there are several. */
export async function downloadFiles(
  connection: EngineConnection,
  files: ImageFiles,
  downloads: readonly Download[],
  given?: vscode.Uri,
): Promise<readonly VerbResult<'download'>[]> {
  const destinations = await destinationsOf(files, downloads, given);
  if (destinations === undefined) return [];
  const results = await cancellable(titleOf(downloads), async (signal, onProgress) => {
    const done: VerbResult<'download'>[] = [];
    for (const [index, download] of downloads.entries()) {
      const input = { ...download, destination: destinations[index]! };
      done.push(await connection.call('download', input, { signal, onProgress }));
    }
    return done;
  });
  void tell(results);
  return results;
}

/** On this machine; the engine writes there itself. */
async function destinationsOf(
  files: ImageFiles,
  downloads: readonly Download[],
  given: vscode.Uri | undefined,
): Promise<string[] | undefined> {
  const [first] = downloads;
  if (!first) return undefined;
  const single = downloads.length === 1 && (await isFile(files, first));
  const start = vscode.workspace.workspaceFolders?.find(folder => folder.uri.scheme === 'file')?.uri;
  const name = nameOf(first.path);
  let chosen: vscode.Uri | undefined = given;
  if (chosen === undefined && single) {
    chosen = await vscode.window.showSaveDialog({
      title: `Download ${name}`,
      saveLabel: 'Download',
      ...(start ? { defaultUri: vscode.Uri.joinPath(start, name) } : {}),
    });
  } else if (chosen === undefined) {
    const folders = await vscode.window.showOpenDialog({
      title: `${titleOf(downloads)} into…`,
      openLabel: 'Download Here',
      canSelectFiles: false,
      canSelectFolders: true,
      ...(start ? { defaultUri: start } : {}),
    });
    chosen = folders?.[0];
  }
  if (chosen === undefined) return undefined;
  if (chosen.scheme !== 'file')
    throw new CoppiceError('invalid_input', `${chosen.toString()} is not on this machine`, {
      fix: 'Choose a local folder',
    });
  if (single) return [chosen.fsPath];
  const into = chosen.fsPath;
  // A folder keeps its name below the chosen one; what a glob matches goes into that itself.
  return downloads.map(({ path: inside }) => (GLOB.test(inside) ? into : path.join(into, nameOf(inside))));
}

async function isFile(files: ImageFiles, { image, path: inside }: Download): Promise<boolean> {
  try {
    return meant(await files.stat(image, inside)).type === 'file';
  } catch (error) {
    if (error instanceof CoppiceError && error.code === 'path_not_found' && GLOB.test(inside)) return false;
    throw error;
  }
}

/** Only what this machine can have as a name: `\` and `:` would lead elsewhere on Windows. */
export function nameOf(inside: string): string {
  const name = inside.replace(/\/+$/, '').split('/').at(-1) ?? '';
  const safe = process.platform === 'win32' ? name.replaceAll(/[<>:"\\|?*]/g, '_') : name;
  return safe === '' || safe === '.' || safe === '..' ? 'image' : safe;
}

const titleOf = (downloads: readonly Download[]): string =>
  downloads.length === 1 ? `Downloading ${downloads[0]!.path}` : `Downloading ${downloads.length} items`;

async function tell(results: readonly VerbResult<'download'>[]): Promise<void> {
  const files = results.reduce((sum, result) => sum + result.files, 0);
  const size = results.reduce((sum, result) => sum + result.size, 0);
  const skipped = results.flatMap(result => result.skipped);
  const [only] = results;
  const words = [
    `Downloaded ${files} ${files === 1 ? 'file' : 'files'}, ${byteSize(size)}`,
    ...(skipped.length > 0 ? [`${skipped.length} left out: devices, sockets, links that lead outside`] : []),
  ];
  const open = files === 1 && results.length === 1;
  const action = open ? 'Open' : 'Reveal in Explorer View';
  const chosen = await vscode.window.showInformationMessage(`${words.join('; ')}.`, action);
  if (chosen !== action || !only) return;
  const place = vscode.Uri.file(only.destination);
  await vscode.commands.executeCommand(open ? 'vscode.open' : 'revealInExplorer', place);
}

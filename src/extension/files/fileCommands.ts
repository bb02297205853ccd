import * as vscode from 'vscode';
import { applyToWorkspace } from '../apply/applyToWorkspace.ts';
import type { CommandHandlers } from '../commands/command.ts';
import { imageOf, pickImage } from '../commands/pickImage.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { imageName } from '../views/labels.ts';
import { parentOf, showFileDiff, showImageChanges, showWorkspaceChanges } from './changes.ts';
import { askPath, downloadFiles } from './download.ts';
import type { FileRow, FilesView } from './filesView.ts';
import type { ImageFiles } from './imageFiles.ts';
import { imageUri, placeOfUri } from './imageUri.ts';

type FileCommand =
  | 'coppice.browseFiles'
  | 'coppice.closeFiles'
  | 'coppice.addToWorkspace'
  | 'coppice.copyFilePath'
  | 'coppice.diffFileWithParent'
  | 'coppice.diffWithParent'
  | 'coppice.compareImages'
  | 'coppice.diffWithWorkspace'
  | 'coppice.applyToWorkspace'
  | 'coppice.download'
  | 'coppice.downloadFrom';

/** What can be done with the files of an image. */
export function fileCommands(parts: {
  readonly connection: EngineConnection;
  readonly files: ImageFiles;
  readonly view: FilesView;
  readonly log: vscode.LogOutputChannel;
}): Pick<CommandHandlers, FileCommand> {
  const { connection, files, view } = parts;
  const nameOf = async (image: string) => imageName(await connection.call('get_image', { image }));
  return {
    'coppice.browseFiles': async row => {
      const image = await imageOf(connection, row, 'Browse Files of an Image');
      if (image) await view.browse(image, await nameOf(image));
    },
    'coppice.closeFiles': row => view.close(row),
    'coppice.addToWorkspace': async row => {
      const image = await imageOf(connection, row, 'Add the Files of an Image to the Workspace');
      if (image) addToWorkspace(image, await nameOf(image), row && 'path' in row ? row.path : '/');
    },
    'coppice.copyFilePath': row => vscode.env.clipboard.writeText(row.path),
    'coppice.diffFileWithParent': async row => {
      const { image, path } = row instanceof vscode.Uri ? placeOfUri(row) : { image: row.image.uuid, path: row.path };
      await showFileDiff(connection, files, path, await parentOf(connection, image), image);
    },
    'coppice.diffWithParent': async row => {
      const image = await imageOf(connection, row, 'Compare an Image with Its Parent');
      if (image) await showImageChanges(connection, image);
    },
    'coppice.compareImages': async (row, other) => {
      const image = await imageOf(connection, row, 'Compare an Image');
      if (!image) return;
      const against =
        other?.image.uuid ?? (await pickImage(connection, `Compare ${await nameOf(image)} with…`, image))?.uuid;
      if (against) await showImageChanges(connection, image, against);
    },
    'coppice.diffWithWorkspace': async row => {
      const image = await imageOf(connection, row, 'Compare an Image with the Workspace');
      if (image) await showWorkspaceChanges(connection, files, image);
    },
    'coppice.applyToWorkspace': async (row, paths) => {
      const image = await imageOf(connection, row, 'Apply Changes of an Image to the Workspace');
      if (image) return applyToWorkspace(parts, image, Array.isArray(paths) ? paths : undefined);
      return undefined;
    },
    'coppice.download': async (row, rows, into) => {
      const chosen = Array.isArray(rows) && rows.length > 0 ? rows : [row];
      const downloads = outermost(chosen).map(({ image, path }) => ({ image: image.uuid, path }));
      return downloadFiles(connection, files, downloads, into);
    },
    'coppice.downloadFrom': async (row, path, into) => {
      const image = await imageOf(connection, row, 'Download from an Image');
      const inside = typeof path === 'string' ? path : image && (await askPath(image));
      if (image && inside) return downloadFiles(connection, files, [{ image, path: inside }], into);
      return undefined;
    },
  };
}

/** A folder takes what is in it along. */
function outermost(rows: readonly FileRow[]): readonly FileRow[] {
  return rows.filter(
    row =>
      row.kind !== 'more' &&
      !rows.some(other => other !== row && other.image.uuid === row.image.uuid && isBelow(row, other)),
  );
}

const isBelow = (row: FileRow, other: FileRow): boolean =>
  row.path.startsWith(other.path === '/' ? '/' : `${other.path}/`);

/** A window with one folder or none starts anew when it gets another; its runs go on. */
function addToWorkspace(image: string, name: string, path: string): void {
  const uri = imageUri(image, path);
  const known = vscode.workspace.workspaceFolders ?? [];
  if (known.some(folder => folder.uri.toString() === uri.toString())) return;
  vscode.workspace.updateWorkspaceFolders(known.length, 0, { uri, name: path === '/' ? name : `${name}: ${path}` });
}

import * as vscode from 'vscode';
import type { VerbInput } from '../../protocol/verbs.ts';
import type { ViewId } from '../contributions.ts';
import type { EngineConnection } from '../engineConnection.ts';
import type { ImagesView } from '../views/imagesView.ts';
import type { LineageView } from '../views/lineageView.ts';
import type { OperationsView } from '../views/operationsView.ts';
import { buildImage } from './buildImage.ts';
import { cleanUp, copyUuid, removeImages, tagImage, untagImages } from './changeImage.ts';
import { type CommandHandlers, chosen, type ImageThing } from './command.ts';
import { exportImage } from './exportImage.ts';
import { importAsked, importImage, signInToRegistry } from './importImage.ts';

type ImageCommand =
  | 'coppice.importHost'
  | 'coppice.importImage'
  | 'coppice.buildImage'
  | 'coppice.signIn'
  | 'coppice.copyUuid'
  | 'coppice.tagImage'
  | 'coppice.untagImage'
  | 'coppice.showLineage'
  | 'coppice.copyScript'
  | 'coppice.copyDockerfile'
  | 'coppice.revealOperation'
  | 'coppice.exportImage'
  | 'coppice.removeImage'
  | 'coppice.cleanUp'
  | 'coppice.moreImages'
  | 'coppice.earlierImages';

interface Parts {
  readonly connection: EngineConnection;
  readonly images: ImagesView;
  readonly lineage: LineageView;
  readonly operations: OperationsView;
}

/** What is done to images, wherever they are shown. */
export function imageCommands({ connection, images, lineage, operations }: Parts): Pick<CommandHandlers, ImageCommand> {
  const views = [images, lineage];
  const all = (row?: ImageThing | ViewId, rows?: readonly ImageThing[]) => chosen(views, 'image', row, rows);
  const one = (row?: ImageThing | ViewId) => all(row)[0]!;
  const copyRecipe = async (
    row: ImageThing | ViewId | undefined,
    format: NonNullable<VerbInput<'recipe'>['format']>,
  ) => {
    const { text, commands } = await connection.call('recipe', { image: one(row).uuid, format });
    await vscode.env.clipboard.writeText(text);
    const what = format === 'script' ? 'Shell script' : 'Dockerfile';
    const steps = `${commands} ${commands === 1 ? 'command' : 'commands'}`;
    vscode.window.setStatusBarMessage(`$(copy) ${what} of ${steps} copied`, 5000);
  };
  return {
    'coppice.importHost': () => importImage(connection, 'host:'),
    'coppice.importImage': given =>
      typeof given === 'string' ? importImage(connection, given) : importAsked(connection),
    'coppice.buildImage': (file, tag) =>
      buildImage(connection, file instanceof vscode.Uri ? file : undefined, typeof tag === 'string' ? tag : undefined),
    'coppice.signIn': given => signInToRegistry(connection, given),
    'coppice.copyUuid': (row, rows) => copyUuid(all(row, rows)),
    'coppice.tagImage': (row, tag) => tagImage(connection, one(row), typeof tag === 'string' ? tag : undefined),
    'coppice.untagImage': (row, rows) => untagImages(connection, all(row, rows)),
    'coppice.showLineage': row => lineage.reveal(one(row).uuid),
    'coppice.copyScript': row => copyRecipe(row, 'script'),
    'coppice.copyDockerfile': row => copyRecipe(row, 'dockerfile'),
    'coppice.revealOperation': async row => {
      const { operation_id } = one(row);
      if (operation_id !== null) await operations.reveal(operation_id);
    },
    'coppice.exportImage': row => exportImage(connection, one(row)),
    'coppice.removeImage': (row, rows) => removeImages(connection, all(row, rows)),
    'coppice.cleanUp': () => cleanUp(connection),
    'coppice.moreImages': () => images.showMore(),
    'coppice.earlierImages': () => lineage.showEarlier(),
  };
}

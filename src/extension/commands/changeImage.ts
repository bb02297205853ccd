import * as vscode from 'vscode';
import { isTagName } from '../../protocol/names.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { byteSize, imageName, shortId } from '../views/labels.ts';

/** Naming an image and taking it away. */

export async function copyUuid(image: ImageView): Promise<void> {
  await vscode.env.clipboard.writeText(image.uuid);
  vscode.window.setStatusBarMessage(`$(copy) ${image.uuid}`, 3000);
}

export async function tagImage(connection: EngineConnection, image: ImageView, given?: string): Promise<void> {
  const tag =
    given ??
    (await vscode.window.showInputBox({
      title: `Tag ${imageName(image)}`,
      prompt: 'A tag names one image at a time; setting it here takes it from the image that has it.',
      value: image.tag ?? '',
      validateInput: text => (isTagName(text) ? undefined : 'Letters, digits and . _ / : @ + -, at most 200'),
    }));
  if (tag === undefined) return;
  const { moved_from } = await connection.call('set_tag', { image: image.uuid, tag });
  if (moved_from !== null) vscode.window.setStatusBarMessage(`$(tag) ${tag} moved from ${shortId(moved_from)}`, 5000);
}

export async function untagImage(connection: EngineConnection, image: ImageView): Promise<void> {
  await connection.call('set_tag', { image: image.uuid, tag: null });
}

export async function removeImage(connection: EngineConnection, image: ImageView): Promise<void> {
  const name = imageName(image);
  const answer = await vscode.window.showWarningMessage(
    `Remove the image “${name}”?`,
    { modal: true, detail: `${image.uuid}\nIts files cannot be brought back. Images made from it are kept.` },
    'Remove',
  );
  if (answer !== 'Remove') return;
  const { freed_bytes } = await connection.call('remove_image', { image: image.uuid });
  vscode.window.setStatusBarMessage(`$(trash) ${name} removed, ${byteSize(freed_bytes)} freed`, 5000);
}

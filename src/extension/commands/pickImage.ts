import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { age, imageName, shortId } from '../views/labels.ts';

const MOST = 1000;

/** A row of any tree that is about an image: the image itself, or the operation that made it. */
export type OfImage =
  | { readonly image: Pick<ImageView, 'uuid'> }
  | { readonly operation: Pick<OperationView, 'operation_id' | 'result_image'> };

/** The row's image; from the palette, without one, it is asked for. */
export async function imageOf(
  connection: EngineConnection,
  row: OfImage | undefined,
  title: string,
): Promise<string | undefined> {
  if (row === undefined) return (await pickImage(connection, title))?.uuid;
  if ('image' in row) return row.image.uuid;
  const { operation_id, result_image } = row.operation;
  if (result_image !== null) return result_image;
  throw new CoppiceError('invalid_input', `${operation_id} has no result image`, {
    fix: 'Run it again and keep the result',
  });
}

export async function pickImage(
  connection: EngineConnection,
  title: string,
  except?: string,
): Promise<ImageView | undefined> {
  const images = connection.call('list_images', { limit: MOST }).then(({ images }) =>
    images
      .filter(image => image.uuid !== except)
      .toSorted((a, b) => Number(a.tag === null) - Number(b.tag === null) || b.created_at.localeCompare(a.created_at))
      .map(pickItem),
  );
  const chosen = await vscode.window.showQuickPick(images, {
    title,
    matchOnDescription: true,
    placeHolder: 'Which image?',
  });
  return chosen?.image;
}

/** An image as an entry of a pick list. */
export function pickItem(image: ImageView) {
  return {
    label: `${image.tag === null ? '$(git-commit)' : '$(tag)'} ${imageName(image)}`,
    description: [
      ...image.branches.map(name => `⎇ ${name}`),
      age(image.created_at, Date.now()),
      shortId(image.uuid),
    ].join(' · '),
    image,
  };
}

import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { isTagName } from '../../protocol/names.ts';
import type { ImageView, Removal } from '../../protocol/schemas/images.ts';
import type { VerbInput, VerbResult } from '../../protocol/verbs.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { byteSize, imageName, oneLine, sentence, shortId } from '../views/labels.ts';

/** Naming images and taking them away. */

export async function copyUuid(images: readonly ImageView[]): Promise<void> {
  await vscode.env.clipboard.writeText(images.map(image => image.uuid).join('\n'));
  const what = images.length === 1 ? images[0]!.uuid : `${images.length} UUIDs`;
  vscode.window.setStatusBarMessage(`$(copy) ${what} copied`, 3000);
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

export async function untagImages(connection: EngineConnection, images: readonly ImageView[]): Promise<void> {
  for (const image of images) await connection.call('set_tag', { image: image.uuid, tag: null });
}

export async function removeImages(connection: EngineConnection, images: readonly ImageView[]): Promise<void> {
  const [first] = images;
  if (!first) return;
  const what = images.length === 1 ? `the image “${imageName(first)}”` : `${images.length} images`;
  const names = images.slice(0, 10).map(image => `${imageName(image)}  ${shortId(image.uuid)}`);
  if (images.length > names.length) names.push(`and ${images.length - names.length} more`);
  const answer = await vscode.window.showWarningMessage(
    `Remove ${what}?`,
    {
      modal: true,
      detail: `${names.join('\n')}\n\nTheir files cannot be brought back. Images made from them are kept.`,
    },
    'Remove',
  );
  if (answer !== 'Remove') return;
  let freed = 0;
  // What was made last goes first: it may be what holds another one.
  for (const image of images.toSorted((one, other) => other.created_at.localeCompare(one.created_at)))
    freed += await removeOne(connection, image);
  vscode.window.setStatusBarMessage(`$(trash) ${what} removed, ${byteSize(freed)} freed`, 5000);
}

/** What holds an image is said, and may be overruled. */
async function removeOne(connection: EngineConnection, { uuid }: ImageView): Promise<number> {
  try {
    return (await connection.call('remove_image', { image: uuid })).freed_bytes;
  } catch (error) {
    if (!isInUse(error)) throw error;
    const detail = [error.message, error.fix].filter(part => part !== undefined).map(sentence);
    const answer = await vscode.window.showWarningMessage(
      'This image is held.',
      { modal: true, detail: detail.join('\n') },
      'Remove Anyway',
    );
    if (answer !== 'Remove Anyway') throw new CoppiceError('cancelled', 'it stays');
    return (await connection.call('remove_image', { image: uuid, force: true })).freed_bytes;
  }
}

const isInUse = (error: unknown): error is CoppiceError => error instanceof CoppiceError && error.code === 'in_use';

const DAY_S = 86_400;
const POLICIES = [
  { label: 'Not used for two weeks', unused_for: 14 * DAY_S, keep_tagged: true },
  { label: 'Not used for a day', unused_for: DAY_S, keep_tagged: true },
  { label: 'All without a tag', unused_for: 0, keep_tagged: true },
  { label: 'All, tagged ones too', unused_for: 0, keep_tagged: false },
] as const;

/** First how much each policy would free, then which images, and only then it happens. */
export async function cleanUp(connection: EngineConnection): Promise<void> {
  const items = await Promise.all(
    POLICIES.map(async ({ label, ...policy }) => {
      const preview = await connection.call('prune', { ...policy, dry_run: true });
      const count = preview.removed.length;
      const description = count === 0 ? 'nothing to remove' : `${imageCount(count)}, ${byteSize(preview.freed_bytes)}`;
      return { label: `$(trash) ${label}`, description, policy, preview };
    }),
  );
  const title = 'Clean Up Images';
  const placeHolder = 'Which images? Heads of branches, their ancestors and images in use always stay';
  const chosen = await vscode.window.showQuickPick(items, { title, placeHolder });
  if (!chosen) return;
  if (chosen.preview.removed.length === 0) {
    void vscode.window.showInformationMessage('There is nothing to remove.');
    return;
  }
  const images = await vscode.window.showQuickPick(chosen.preview.removed.map(removalItem), {
    title: `${title}: ${chosen.description}`,
    placeHolder: 'These go for good. Untick what shall stay',
    canPickMany: true,
    matchOnDescription: true,
  });
  if (!images || images.length === 0) return;
  const { removed, freed } = await removeChosen(connection, chosen, images);
  const held = images.length - removed;
  void vscode.window.showInformationMessage(
    `${imageCount(removed)} removed, ${byteSize(freed)} freed.${held === 0 ? '' : ` ${imageCount(held)} stayed: what is kept was made from them.`}`,
  );
}

const imageCount = (count: number): string => `${count.toLocaleString('en')} ${count === 1 ? 'image' : 'images'}`;

function removalItem(removal: Removal) {
  return {
    label: removal.tag ?? shortId(removal.image),
    description: [byteSize(removal.size), oneLine(removal.reason)].join(' · '),
    picked: true,
    removal,
  };
}

/** All of them in one go, as the engine found them; a selection one by one, children before their parents as they are listed. */
async function removeChosen(
  connection: EngineConnection,
  { policy, preview }: { readonly policy: VerbInput<'prune'>; readonly preview: VerbResult<'prune'> },
  chosen: readonly { readonly removal: Removal }[],
): Promise<{ readonly removed: number; readonly freed: number }> {
  if (chosen.length === preview.removed.length) {
    const { removed, freed_bytes } = await connection.call('prune', policy);
    return { removed: removed.length, freed: freed_bytes };
  }
  let removed = 0;
  let freed = 0;
  for (const { removal } of chosen) {
    try {
      if (removal.tag !== null) await connection.call('set_tag', { image: removal.image, tag: null });
      freed += (await connection.call('remove_image', { image: removal.image })).freed_bytes;
      removed++;
    } catch (error) {
      if (!isInUse(error)) throw error; // It is needed by one that was unticked.
    }
  }
  return { removed, freed };
}

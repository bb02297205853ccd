import * as vscode from 'vscode';
import type { VerbCaller } from '../../client/engineClient.ts';
import { age, imageName, oneLine, shortId } from '../views/labels.ts';

const MOST_IMAGES = 1_000;

/** Branches, tags, then what has neither; undefined when nothing was chosen, empty for the default. */
export async function pickImage(caller: VerbCaller): Promise<string | undefined> {
  const [{ branches }, { images }] = await Promise.all([
    caller.call('branches', {}),
    caller.call('list_images', { limit: MOST_IMAGES }),
  ]);
  const heading = (label: string) => ({ label, kind: vscode.QuickPickItemKind.Separator, reference: '' });
  const now = Date.now();
  const chosen = await vscode.window.showQuickPick(
    [
      {
        label: '$(home) Default',
        description: 'the head of the checked-out branch, else the base image',
        reference: '',
      },
      heading('Branches'),
      ...branches.map(({ name, head }) => ({
        label: `$(git-branch) ${name}`,
        description: shortId(head),
        reference: `branch:${name}`,
      })),
      heading('Tags'),
      ...images
        .filter(({ tag }) => tag !== null)
        .map(image => ({
          label: `$(tag) ${image.tag}`,
          description: shortId(image.uuid),
          reference: `tag:${image.tag}`,
        })),
      heading('Images'),
      ...images
        .filter(({ tag }) => tag === null)
        .map(image => ({
          label: `$(package) ${oneLine(imageName(image))}`,
          description: `${shortId(image.uuid)} · ${age(image.created_at, now)}`,
          reference: image.uuid,
        })),
    ],
    { title: 'Image to start from', matchOnDescription: true },
  );
  return chosen?.reference;
}

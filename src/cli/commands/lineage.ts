import type { ImageView, Lineage } from '../../protocol/schemas/images.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { humanAge, humanSize, oneLine, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';
import type { Channel } from '../terminal.ts';
import { growTrees, type TreeRow } from '../tree.ts';
import { branchNames } from './images.ts';
import { failureText } from './ps.ts';

export const lineage = defineCommand({
  name: 'lineage',
  group: 'Images',
  summary: 'Show where an image comes from and what was made from it',
  description:
    'Draws the image’s ancestors and all its descendants, each with the command that made it. Without IMAGE: the\n' +
    'whole family. To go back after a failure, run again from the parent.',
  arguments: [{ name: 'IMAGE', help: 'UUID or its beginning, TAG, branch:NAME', optional: true, completes: 'image' }],
  options: { all: { short: 'a', help: 'Siblings and their descendants too' } },
  examples: [['coppice lineage deps', 'the line that leads to deps, and on from it']],
  run: async (context, { words, options }) => {
    const client = await context.connect();
    const asked = words[0] === undefined ? undefined : await client.call('lineage', { image: words[0] });
    if (context.json && asked) {
      printJson(context, asked);
      return EXIT.ok;
    }
    const { images } = await client.call('list_images', { limit: 10_000 });
    const { operations } = await client.call('list_operations', { status: 'FAILED', limit: 10_000 });
    const failed = new Map(operations.map(operation => [operation.operation_id, operation]));
    const shown = asked && !options.all ? relatives(images, asked) : asked ? family(images, asked) : images;
    const { out, err } = context.terminal;
    if (context.json) printJson(context, { images });
    else if (shown.length === 0) err.line('No images yet. coppice import host: --tag base makes the first.');
    else for (const line of treeLines(shown, asked?.image, failed, out)) out.line(line);
    return EXIT.ok;
  },
});

/** Ancestors, the image, descendants; no siblings of any of them. */
function relatives(images: readonly ImageView[], asked: Lineage): readonly ImageView[] {
  const kept = new Set([asked.image, ...asked.ancestors.map(edge => edge.image)]);
  return images.filter(image => kept.has(image.uuid) || leadsTo(images, image, asked.image));
}

const family = (images: readonly ImageView[], asked: Lineage): readonly ImageView[] =>
  images.filter(image => image.uuid === asked.root.image || leadsTo(images, image, asked.root.image));

function leadsTo(images: readonly ImageView[], image: ImageView, ancestor: string): boolean {
  const byUuid = new Map(images.map(candidate => [candidate.uuid, candidate]));
  for (let at: ImageView | undefined = image; at; at = at.parent === null ? undefined : byUuid.get(at.parent)) {
    if (at.parent === ancestor) return true;
  }
  return false;
}

type Failed = ReadonlyMap<string, OperationView>;

function treeLines(
  images: readonly ImageView[],
  asked: string | undefined,
  failed: Failed,
  channel: Channel,
): readonly string[] {
  const oldestFirst = [...images].sort((a, b) => a.created_at.localeCompare(b.created_at));
  return tableLines(
    [
      { title: 'IMAGE' },
      { title: 'TAG' },
      { title: 'SIZE', align: 'right' },
      { title: 'CREATED' },
      { title: 'MADE BY', flexible: true },
    ],
    growTrees(
      oldestFirst,
      image => image.uuid,
      image => image.parent,
    ).map(row => cells(row, asked, failed, channel)),
    channel,
  );
}

function cells(
  { isRoot, stem, item: image }: TreeRow<ImageView>,
  asked: string | undefined,
  failed: Failed,
  channel: Channel,
): readonly string[] {
  const isAsked = image.uuid === asked;
  const failure = image.operation_id === null ? undefined : failed.get(image.operation_id);
  // Of steps, only the last one can have failed.
  const mark = failure?.result_image === image.uuid ? channel.style('red', `✗ ${failureText(failure)}  `) : '';
  return [
    `${channel.style('dim', stem)}${isAsked ? '◉' : isRoot ? '●' : '○'} ${channel.style(isAsked ? ['cyan', 'bold'] : 'cyan', shortId(image.uuid))}`,
    channel.style('green', image.tag ?? '') + branchNames(image, channel),
    channel.style('dim', image.parent === null ? humanSize(image.size) : `+${humanSize(image.size)}`),
    channel.style('dim', humanAge(image.created_at)),
    mark + oneLine(image.title, 200),
  ];
}

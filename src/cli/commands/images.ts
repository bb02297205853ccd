import type { ImageView } from '../../protocol/schemas/images.ts';
import { humanAge, humanSize, oneLine, plural, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';
import type { Channel } from '../terminal.ts';

export const images = defineCommand({
  name: 'images',
  group: 'Images',
  summary: 'List images',
  arguments: [{ name: 'PREFIX', help: 'Only tags that begin so', optional: true, completes: 'tag' }],
  options: {
    tagged: { help: 'Only images with a tag' },
    untagged: { help: 'Only images without one' },
    limit: { short: 'n', value: 'N', help: 'So many at most (default 50)' },
    offset: { value: 'N', help: 'Skip so many' },
    quiet: { short: 'q', help: 'Only the UUIDs' },
  },
  run: async (context, { words, options }) => {
    const client = await context.connect();
    const tagged = options.tagged ? { tagged: true } : options.untagged ? { tagged: false } : {};
    const result = await client.call('list_images', {
      ...(words[0] === undefined ? {} : { tag_prefix: words[0] }),
      ...tagged,
      limit: numberOption('images', 'limit', options.limit) ?? 50,
      offset: numberOption('images', 'offset', options.offset) ?? 0,
    });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (options.quiet) for (const image of result.images) out.line(image.uuid);
    else if (result.total === 0) err.line(emptyText(words[0]));
    else {
      for (const line of imageTable(result.images, out)) out.line(line);
      const rest = result.total - result.images.length;
      if (rest > 0) err.line(err.style('dim', `${plural(rest, 'image')} more: --limit, --offset`));
    }
    return EXIT.ok;
  },
});

const emptyText = (prefix: string | undefined): string =>
  prefix === undefined
    ? 'No images yet. The first run makes one of this machine; or: coppice import host: --tag base'
    : `No image’s tag begins with ${JSON.stringify(prefix)}.`;

function imageTable(list: readonly ImageView[], channel: Channel): readonly string[] {
  return tableLines(
    [
      { title: 'IMAGE' },
      { title: 'TAG' },
      { title: 'SIZE', align: 'right' },
      { title: 'CREATED' },
      { title: 'PARENT' },
      { title: 'MADE BY', flexible: true },
    ],
    list.map(image => [
      channel.style('cyan', shortId(image.uuid)),
      channel.style('green', image.tag ?? '') + branchNames(image, channel),
      humanSize(image.size),
      humanAge(image.created_at),
      image.parent === null ? '' : shortId(image.parent),
      oneLine(image.title, 200) + (image.drifted ? channel.style('yellow', ' drifted') : ''),
    ]),
    channel,
  );
}

export function branchNames(image: Pick<ImageView, 'tag' | 'branches'>, channel: Channel): string {
  if (image.branches.length === 0) return '';
  return channel.style('magenta', `${image.tag === null ? '' : ' '}[${image.branches.join(' ')}]`);
}

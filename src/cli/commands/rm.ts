import type { Removal } from '../../protocol/schemas/images.ts';
import { humanSize, plural, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';
import type { Channel } from '../terminal.ts';

export const rm = defineCommand({
  name: 'rm',
  group: 'Images',
  summary: 'Remove images',
  description: 'Tagged images, those on a branch, those in use and parents of others stay unless --force is given.',
  arguments: [{ name: 'IMAGE', help: 'The images', many: true, completes: 'image' }],
  options: { force: { short: 'f', help: 'Remove them nevertheless' } },
  run: async (context, { words, options }) => {
    const client = await context.connect();
    const removed: Removal[] = [];
    let freed = 0;
    for (const image of words) {
      const result = await client.call('remove_image', { image, force: options.force });
      removed.push(...result.removed);
      freed += result.freed_bytes;
      if (!context.json)
        for (const line of result.removed) context.terminal.out.line(removedLine(line, context.terminal.out));
    }
    if (context.json) printJson(context, { removed, freed_bytes: freed });
    else
      context.terminal.err.line(
        context.terminal.err.style('dim', `${plural(removed.length, 'image')} removed, ${humanSize(freed)} freed`),
      );
    return EXIT.ok;
  },
});

const removedLine = (image: Removal, channel: Channel): string =>
  `${channel.style('cyan', shortId(image.image))}  ${channel.style('green', image.tag ?? '')}`.trimEnd();

export function removalTable(removed: readonly Removal[], channel: Channel): readonly string[] {
  return tableLines(
    [{ title: 'IMAGE' }, { title: 'TAG' }, { title: 'SIZE', align: 'right' }, { title: 'WHY', flexible: true }],
    removed.map(image => [
      channel.style('cyan', shortId(image.image)),
      channel.style('green', image.tag ?? ''),
      humanSize(image.size),
      image.reason,
    ]),
    channel,
  );
}

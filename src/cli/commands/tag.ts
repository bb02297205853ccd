import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { UsageError } from '../usageError.ts';

export const tag = defineCommand({
  name: 'tag',
  group: 'Images',
  summary: 'Name an image',
  description: 'An image has at most one tag. A tag that another image has moves here.',
  arguments: [
    { name: 'IMAGE', help: 'The image', completes: 'image' },
    { name: 'TAG', help: 'Its new name', optional: true, completes: 'tag' },
  ],
  options: { remove: { help: 'Take the tag away' } },
  run: async (context, { words: [image = '', name], options }) => {
    if (options.remove === (name !== undefined)) throw new UsageError('give a TAG, or --remove', 'tag');
    const client = await context.connect();
    const result = await client.call('set_tag', { image, tag: name ?? null });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else {
      out.line(
        `${out.style('cyan', shortId(result.image))}  ${result.tag === null ? 'has no tag now' : out.style('green', result.tag)}`,
      );
      if (result.moved_from !== null) err.line(err.style('dim', `moved from ${shortId(result.moved_from)}`));
      if (result.previous_tag !== null && result.tag !== null && result.previous_tag !== result.tag)
        err.line(err.style('dim', `was ${result.previous_tag}`));
    }
    return EXIT.ok;
  },
});

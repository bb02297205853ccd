import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { fullSandboxId } from '../references.ts';

export const snapshot = defineCommand({
  name: 'snapshot',
  group: 'Sandboxes',
  summary: 'Keep a live sandbox’s files as an image',
  description: 'The sandbox goes on.',
  arguments: [{ name: 'SANDBOX', help: 'sb-… or its beginning', completes: 'sandbox' }],
  options: { tag: { short: 't', value: 'TAG', help: 'Name the image', completes: 'tag' } },
  run: async (context, { words: [reference = ''], options }) => {
    const client = await context.connect();
    const result = await client.call('snapshot', {
      sandbox_id: await fullSandboxId(client, reference),
      ...(options.tag === undefined ? {} : { tag: options.tag }),
    });
    const { out } = context.terminal;
    if (context.json) printJson(context, result);
    else {
      const note = result.filesystem_changed ? '' : out.style('dim', '  nothing changed');
      out.line(
        `${out.style('cyan', shortId(result.image))}  ${out.style('green', options.tag ?? '')}`.trimEnd() + note,
      );
    }
    return EXIT.ok;
  },
});

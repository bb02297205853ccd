import { guideSections } from '../../protocol/names.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';

export const guide = defineCommand({
  name: 'guide',
  group: 'Coppice',
  summary: 'Read how to work with Coppice',
  description: 'The guides that agents read, in the words of the verbs. Without a section: what there is.',
  arguments: [{ name: 'SECTION', help: 'Which one', optional: true, completes: guideSections }],
  options: {},
  examples: [['coppice guide workflow', 'start here']],
  run: async (context, { words: [section] }) => {
    const client = await context.connect();
    const result = await client.call('get_guide', section === undefined ? {} : { section });
    if (context.json) printJson(context, result);
    else context.terminal.out.line(result.text.trimEnd());
    return EXIT.ok;
  },
});

import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { fullSandboxId } from '../references.ts';

export const stop = defineCommand({
  name: 'stop',
  group: 'Sandboxes',
  summary: 'Stop live sandboxes',
  description: 'With all their processes; their files are gone unless coppice snapshot kept them.',
  arguments: [{ name: 'SANDBOX', help: 'sb-… or its beginning', many: true, completes: 'sandbox' }],
  options: {},
  run: async (context, { words }) => {
    const client = await context.connect();
    const ids = await Promise.all(words.map(word => fullSandboxId(client, word)));
    const stopped = await Promise.all(ids.map(sandbox_id => client.call('stop_sandbox', { sandbox_id })));
    const { out } = context.terminal;
    if (context.json) printJson(context, { sandboxes: stopped });
    else
      for (const sandbox of stopped) out.line(`${out.style('cyan', shortId(sandbox.sandbox_id))}  ${sandbox.status}`);
    return EXIT.ok;
  },
});

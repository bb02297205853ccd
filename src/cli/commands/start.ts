import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { executionInput, executionOptions, laidOver } from './run.ts';

export const start = defineCommand({
  name: 'start',
  group: 'Sandboxes',
  summary: 'Start a sandbox that stays',
  description:
    'It lives until coppice stop: commands by coppice exec see each other’s files and processes. Without PROGRAM it\n' +
    'idles. coppice snapshot keeps its files as an image.',
  program: true,
  options: {
    ...executionOptions,
    label: { value: 'LABEL', multiple: true, help: 'A label to find it by' },
    lifetime: { value: 'SECONDS', help: 'Stop it by itself after so long' },
  },
  examples: [['SB=$(coppice start -i deps); coppice exec $SB -- make; coppice snapshot $SB -t built', 'step by step']],
  runsCommands: true,
  run: async (context, { options, after }) => {
    const lifetime = numberOption('start', 'lifetime', options.lifetime);
    const client = await context.connect();
    const sandbox = await client.call('create_sandbox', {
      ...(await laidOver(context, client, 'start', options)),
      ...executionInput(context, 'start', options),
      ...(after === undefined || after.length === 0 ? {} : { command: [...after] }),
      tags: [...options.label],
      ...(lifetime === undefined ? {} : { lifetime }),
      detached: true,
      workspace: context.cwd,
    });
    if (context.json) printJson(context, sandbox);
    else context.terminal.out.line(sandbox.sandbox_id);
    return EXIT.ok;
  },
});

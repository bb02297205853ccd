import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { UsageError } from '../usageError.ts';
import { historyLines } from './branch.ts';

export const rollback = defineCommand({
  name: 'rollback',
  group: 'Branches',
  summary: 'Move a branch back along its history',
  description: 'One step back unless told otherwise. Nothing is deleted: --forward goes on again.',
  arguments: [{ name: 'BRANCH', help: 'Default: the one checked out here', optional: true, completes: 'branch' }],
  options: {
    steps: { short: 'n', value: 'N', help: 'So many steps (default 1)' },
    to: { value: 'IMAGE', help: 'To this image of its history', completes: 'image' },
    forward: { help: 'Forward instead of back' },
  },
  run: async (context, { words: [name], options }) => {
    if (options.to !== undefined && (options.forward || options.steps !== undefined))
      throw new UsageError('--to stands alone', 'rollback');
    const steps = numberOption('rollback', 'steps', options.steps) ?? 1;
    const client = await context.connect();
    const result = await client.call('rollback', {
      ...(name === undefined ? {} : { name }),
      ...(options.to === undefined ? { steps: options.forward ? -steps : steps } : { image: options.to }),
      workspace: context.cwd,
    });
    if (context.json) printJson(context, result);
    else for (const line of historyLines(result, context.terminal.out)) context.terminal.out.line(line);
    return EXIT.ok;
  },
});

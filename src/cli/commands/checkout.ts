import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { UsageError } from '../usageError.ts';

export const checkout = defineCommand({
  name: 'checkout',
  group: 'Branches',
  summary: 'Make a branch the one that runs in this folder start from',
  description: 'Kept runs here that succeed then move it on.',
  arguments: [
    { name: 'NAME', help: 'The branch', optional: true, completes: 'branch' },
    { name: 'IMAGE', help: 'With --create: where it begins (default: the head)', optional: true, completes: 'image' },
  ],
  options: {
    create: { short: 'b', help: 'Make the branch' },
    none: { help: 'Have no branch checked out here' },
  },
  run: async (context, { words: [name, image], options }) => {
    if (options.none === (name !== undefined)) throw new UsageError('name a branch, or give --none', 'checkout');
    if (image !== undefined && !options.create)
      throw new UsageError('IMAGE goes with --create; coppice branch NAME IMAGE moves a branch', 'checkout');
    const client = await context.connect();
    if (options.create && name !== undefined) {
      await client.call('branch', { name, ...(image === undefined ? {} : { image }), workspace: context.cwd });
    }
    const result = await client.call('checkout', { name: name ?? null, workspace: context.cwd });
    const { out } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.branch === null) out.line('No branch is checked out here now.');
    else out.line(`${out.style('magenta', result.branch.name)}  at ${out.style('cyan', shortId(result.branch.head))}`);
    return EXIT.ok;
  },
});

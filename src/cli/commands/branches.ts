import { humanAge, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';

export const branches = defineCommand({
  name: 'branches',
  group: 'Branches',
  summary: 'List branches',
  description: 'The one that is checked out in the current folder is marked.',
  options: {},
  run: async context => {
    const client = await context.connect();
    const result = await client.call('branches', { workspace: context.cwd });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.branches.length === 0) err.line('No branches. coppice checkout -b NAME makes one here.');
    else {
      const rows = result.branches.map(branch => [
        branch.name === result.checked_out ? '◉' : ' ',
        out.style('magenta', branch.name),
        out.style('cyan', shortId(branch.head)),
        `${branch.position + 1} of ${branch.length}`,
        humanAge(branch.updated_at),
        branch.checked_out_in.join(' '),
      ]);
      const columns = [
        { title: ' ' },
        { title: 'BRANCH' },
        { title: 'HEAD' },
        { title: 'STEP' },
        { title: 'UPDATED' },
        { title: 'CHECKED OUT IN', flexible: true },
      ];
      for (const line of tableLines(columns, rows, out)) out.line(line);
    }
    return EXIT.ok;
  },
});

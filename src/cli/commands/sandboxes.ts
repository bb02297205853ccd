import { humanAge, oneLine, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';

export const sandboxes = defineCommand({
  name: 'sandboxes',
  group: 'Sandboxes',
  summary: 'List live sandboxes',
  options: { all: { short: 'a', help: 'Also those that have ended' } },
  run: async (context, { options }) => {
    const client = await context.connect();
    const result = await client.call('list_sandboxes', { show_terminated: options.all });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.sandboxes.length === 0)
      err.line(options.all ? 'No sandboxes.' : 'No sandbox is live. coppice start makes one, coppice shell opens one.');
    else {
      const rows = result.sandboxes.map(sandbox => [
        out.style('cyan', shortId(sandbox.sandbox_id)),
        sandbox.status + (sandbox.exit_code === null ? '' : ` exit ${sandbox.exit_code}`),
        shortId(sandbox.image),
        humanAge(sandbox.created_at),
        String(sandbox.processes.length),
        sandbox.command === null ? out.style('dim', 'idle') : oneLine(sandbox.command.join(' '), 200),
      ]);
      const columns = [
        { title: 'SANDBOX' },
        { title: 'STATUS' },
        { title: 'IMAGE' },
        { title: 'CREATED' },
        { title: 'PROCESSES', align: 'right' as const },
        { title: 'COMMAND', flexible: true },
      ];
      for (const line of tableLines(columns, rows, out)) out.line(line);
    }
    return EXIT.ok;
  },
});

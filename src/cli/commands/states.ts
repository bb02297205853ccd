import path from 'node:path';
import { humanAge, humanSize, plural, printable, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';

export const states = defineCommand({
  name: 'states',
  group: 'Files',
  summary: 'List directory states, newest first',
  arguments: [{ name: 'FOLDER', help: 'Only those of this folder', optional: true, completes: 'folder' }],
  options: { limit: { short: 'n', value: 'N', help: 'So many at most (default 20)' } },
  run: async (context, { words: [folder], options }) => {
    const client = await context.connect();
    const result = await client.call('states', {
      ...(folder === undefined ? {} : { source: path.resolve(context.cwd, folder) }),
      limit: numberOption('states', 'limit', options.limit) ?? 20,
    });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.states.length === 0) err.line('No directory states. coppice sync makes one of this folder.');
    else {
      const rows = result.states.map(state => [
        out.style('cyan', shortId(state.directory_state_id)),
        state.files.toLocaleString('en'),
        humanSize(state.bytes),
        humanAge(state.created_at),
        String(state.operations),
        `${printable(state.source)} → ${printable(state.destination)}`,
      ]);
      const columns = [
        { title: 'STATE' },
        { title: 'FILES', align: 'right' as const },
        { title: 'SIZE', align: 'right' as const },
        { title: 'CREATED' },
        { title: 'RUNS', align: 'right' as const },
        { title: 'FOLDER', flexible: true },
      ];
      for (const line of tableLines(columns, rows, out)) out.line(line);
      const rest = result.total - result.states.length;
      if (rest > 0) err.line(err.style('dim', `${plural(rest, 'state')} more: --limit`));
    }
    return EXIT.ok;
  },
});

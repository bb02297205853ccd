import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { fullOperationId } from '../references.ts';
import { UsageError } from '../usageError.ts';

export const cancel = defineCommand({
  name: 'cancel',
  group: 'Operations',
  summary: 'Stop operations with all their processes',
  arguments: [{ name: 'OPERATION', help: 'op-… or its beginning', optional: true, many: true, completes: 'operation' }],
  options: { all: { short: 'a', help: 'Everything that is queued or running' } },
  run: async (context, { words, options }) => {
    if (options.all === words.length > 0) throw new UsageError('name operations, or give --all', 'cancel');
    const client = await context.connect();
    const ids = options.all
      ? (await client.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 10_000 })).operations.map(
          operation => operation.operation_id,
        )
      : await Promise.all(words.map(word => fullOperationId(client, word)));
    const results = await Promise.all(ids.map(id => client.call('cancel_operation', { operation_id: id })));
    const { out, err } = context.terminal;
    if (context.json) printJson(context, { results });
    else if (results.length === 0) err.line('Nothing is running.');
    else
      for (const { operation_id: id, cancelled, status } of results)
        out.line(
          `${out.style('cyan', shortId(id))}  ${cancelled ? 'cancelled' : `had ended: ${status.toLowerCase()}`}`,
        );
    return EXIT.ok;
  },
});

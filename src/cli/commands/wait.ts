import type { OperationResult } from '../../protocol/schemas/operations.ts';
import { humanDuration, oneLine, plural, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { fullOperationId } from '../references.ts';
import type { Channel } from '../terminal.ts';
import { statusText } from './ps.ts';

const LONGEST_WAIT_S = 604_800;

export const wait = defineCommand({
  name: 'wait',
  group: 'Operations',
  summary: 'Wait until operations have ended',
  description:
    'Without OPERATION it waits for everything that is queued or running now. Prints each as it ends.\n' +
    'Exit code 0 when all succeeded, 1 when one did not, 124 when the time was up (nothing is cancelled by that).',
  arguments: [{ name: 'OPERATION', help: 'op-… or its beginning', optional: true, many: true, completes: 'operation' }],
  options: {
    any: { help: 'Until the first one has ended' },
    timeout: { value: 'SECONDS', help: 'At most so long (default: for ever)' },
    'cancel-rest': { help: 'With --any or --timeout: cancel those still going' },
  },
  examples: [
    ['coppice wait --any --cancel-rest op-1a2b3c4d op-5e6f7a8b', 'a race: the first counts, the other is stopped'],
  ],
  run: async (context, { words, options }) => {
    const seconds = numberOption('wait', 'timeout', options.timeout);
    const client = await context.connect();
    const ids =
      words.length > 0
        ? await Promise.all(words.map(word => fullOperationId(client, word)))
        : (await client.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 10_000 })).operations.map(
            operation => operation.operation_id,
          );
    const { out, err } = context.terminal;
    if (ids.length === 0) {
      if (context.json)
        printJson(context, { results: {}, completed: [], pending: [], cancelled: [], unknown: [], timed_out: false });
      else err.line('Nothing is running.');
      return EXIT.ok;
    }
    const deadline = seconds === undefined ? undefined : Date.now() + seconds * 1000;
    const ended: OperationResult[] = [];
    let pending: readonly string[] = ids;
    let cancelled: readonly string[] = [];
    let timedOut = false;
    const unknown: string[] = [];
    while (pending.length > 0 && !timedOut && !(options.any && ended.length > 0)) {
      const left = deadline === undefined ? LONGEST_WAIT_S : Math.max(0, (deadline - Date.now()) / 1000);
      const waited = await client.call('wait_operations', {
        operation_ids: [...pending],
        mode: 'any',
        timeout: left,
        cancel_remaining: options['cancel-rest'] && options.any,
      });
      const now = waited.completed.map(id => waited.results[id]!);
      if (!context.json) for (const operation of now) out.line(endedLine(operation, out));
      ended.push(...now);
      unknown.push(...waited.unknown);
      cancelled = waited.cancelled;
      pending = waited.pending;
      timedOut = deadline !== undefined && waited.timed_out;
    }
    if (timedOut && options['cancel-rest']) {
      await Promise.all(pending.map(id => client.call('cancel_operation', { operation_id: id })));
      cancelled = pending;
      pending = [];
    }
    if (context.json) {
      const results = Object.fromEntries(ended.map(operation => [operation.operation_id, operation]));
      printJson(context, {
        results,
        completed: Object.keys(results),
        pending,
        cancelled,
        unknown,
        timed_out: timedOut,
      });
    } else {
      for (const id of cancelled) out.line(`${out.style('cyan', shortId(id))}  ${out.style('yellow', 'cancelled')}`);
      for (const id of unknown) err.line(`${err.style('red', 'coppice:')} no operation ${id}. See coppice ps.`);
      if (pending.length > 0)
        err.line(err.style('dim', `${plural(pending.length, 'operation')} still going: coppice ps`));
    }
    if (timedOut) return EXIT.timedOut;
    const allWell = unknown.length === 0 && ended.every(operation => operation.status === 'SUCCESS');
    return allWell ? EXIT.ok : EXIT.failed;
  },
});

function endedLine(operation: OperationResult, channel: Channel): string {
  const made =
    operation.result_image === null || operation.result_image === operation.image
      ? ''
      : shortId(operation.result_image);
  return [
    channel.style('cyan', shortId(operation.operation_id)),
    statusText(operation, channel),
    humanDuration(operation.duration_ms ?? 0),
    ...(made === '' ? [] : [`→ ${made}`]),
    channel.style('dim', oneLine(operation.title, Math.min(100, channel.width - 40))),
  ].join('  ');
}

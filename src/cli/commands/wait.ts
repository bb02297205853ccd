import type { EngineClient } from '../../client/engineClient.ts';
import type { OperationResult } from '../../protocol/schemas/operations.ts';
import { humanDuration, oneLine, plural, shortId } from '../../verbs/wording.ts';
import { type Context, defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { fullOperationId } from '../references.ts';
import { cut, pad } from '../table.ts';
import type { Channel } from '../terminal.ts';
import { titleCell, watchOperations } from '../watchOperations.ts';
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
    const ids = words.length > 0 ? await fullIds(client, words) : await goingIds(client);
    if (ids.length === 0 && !context.json) context.terminal.err.line('Nothing is running.');
    const wish = { any: options.any, cancelRest: options['cancel-rest'], seconds };
    const outcome = await waitFor(client, ids, wish, await shower(context, client, ids));
    if (context.json) printJson(context, document(outcome));
    else printRest(outcome, context);
    if (outcome.timedOut) return EXIT.timedOut;
    const allWell = outcome.unknown.length === 0 && outcome.ended.every(operation => operation.status === 'SUCCESS');
    return allWell ? EXIT.ok : EXIT.failed;
  },
});

interface Wish {
  readonly any: boolean;
  readonly cancelRest: boolean;
  readonly seconds: number | undefined;
}

interface Outcome {
  readonly ended: readonly OperationResult[];
  readonly pending: readonly string[];
  readonly cancelled: readonly string[];
  readonly unknown: readonly string[];
  readonly timedOut: boolean;
}

interface Shower {
  ended(operations: readonly OperationResult[], stillGoing: readonly string[]): void;
  stop(): Promise<void>;
}

const fullIds = (client: EngineClient, words: readonly string[]): Promise<readonly string[]> =>
  Promise.all(words.map(word => fullOperationId(client, word)));

async function goingIds(client: EngineClient): Promise<readonly string[]> {
  const { operations } = await client.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 10_000 });
  return operations.map(operation => operation.operation_id).reverse(); // As they were asked for.
}

/** Each operation is told as it ends, so one is waited for at a time. */
async function waitFor(client: EngineClient, ids: readonly string[], wish: Wish, shower: Shower): Promise<Outcome> {
  const deadline = wish.seconds === undefined ? undefined : Date.now() + wish.seconds * 1000;
  const ended: OperationResult[] = [];
  const unknown: string[] = [];
  let cancelled: readonly string[] = [];
  let pending = ids;
  let timedOut = false;
  while (pending.length > 0 && !timedOut && !(wish.any && ended.length > 0)) {
    const waited = await client.call('wait_operations', {
      operation_ids: [...pending],
      mode: 'any',
      timeout: deadline === undefined ? LONGEST_WAIT_S : Math.max(0, (deadline - Date.now()) / 1000),
      cancel_remaining: wish.cancelRest && wish.any,
    });
    const now = waited.completed.map(id => waited.results[id]!);
    ended.push(...now);
    unknown.push(...waited.unknown);
    ({ pending, cancelled } = waited);
    timedOut = deadline !== undefined && waited.timed_out;
    shower.ended(now, pending);
  }
  await shower.stop();
  if (timedOut && wish.cancelRest) {
    await Promise.all(pending.map(id => client.call('cancel_operation', { operation_id: id })));
    cancelled = [...cancelled, ...pending];
    pending = [];
  }
  return { ended, pending, cancelled, unknown, timedOut };
}

async function shower(context: Context, client: EngineClient, ids: readonly string[]): Promise<Shower> {
  if (context.json || ids.length === 0) return { ended: () => {}, stop: async () => {} };
  const { out, err } = context.terminal;
  const watch = await watchOperations(client, ids, err);
  return {
    ended: (operations, stillGoing) => {
      watch.keep(stillGoing);
      watch.aside(() => {
        for (const operation of operations) out.line(endedLine(operation, out));
      });
    },
    stop: () => watch.stop(),
  };
}

/** As `wait_operations` answers. */
function document({ ended, pending, cancelled, unknown, timedOut }: Outcome): object {
  const results = Object.fromEntries(ended.map(operation => [operation.operation_id, operation]));
  return { results, completed: Object.keys(results), pending, cancelled, unknown, timed_out: timedOut };
}

function printRest({ pending, cancelled, unknown }: Outcome, context: Context): void {
  const { out, err } = context.terminal;
  for (const id of cancelled) out.line(`${out.style('cyan', shortId(id))}  ${out.style('yellow', 'cancelled')}`);
  for (const id of unknown) err.line(`${err.style('red', 'coppice:')} no operation ${id}. See coppice ps.`);
  if (pending.length > 0) err.line(err.style('dim', `${plural(pending.length, 'operation')} still going: coppice ps`));
}

/** On a terminal one line each, so that eight can be compared. */
function endedLine(operation: OperationResult, channel: Channel): string {
  const made =
    operation.result_image === null || operation.result_image === operation.image
      ? ''
      : shortId(operation.result_image);
  const line = [
    channel.style('cyan', shortId(operation.operation_id)),
    pad(statusText(operation, channel), 9),
    pad(humanDuration(operation.duration_ms ?? 0), 7, 'right'),
    titleCell(operation, channel),
    ...(made === '' ? [] : [`→ ${made}`]),
    channel.style('dim', oneLine(operation.last_line, 200)),
  ].join('  ');
  return cut(line, channel.width - 1).trimEnd();
}

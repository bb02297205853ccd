import type { OperationKind, OperationStatus } from '../../protocol/schemas/common.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { humanAge, humanDuration, oneLine, plural, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';
import type { Channel } from '../terminal.ts';
import { UsageError } from '../usageError.ts';

const STATUSES: readonly OperationStatus[] = ['PENDING', 'EXECUTING', 'SUCCESS', 'FAILED', 'CANCELLED'];
const KINDS: readonly OperationKind[] = ['run', 'import_image', 'build', 'snapshot'];

export const ps = defineCommand({
  name: 'ps',
  group: 'Operations',
  summary: 'List operations, newest first',
  options: {
    running: { short: 'r', help: 'Only those that are queued or running' },
    status: { short: 's', value: 'STATUS', multiple: true, help: `One of ${STATUSES.join(', ')}`, completes: STATUSES },
    kind: { value: 'KIND', help: `One of ${KINDS.join(', ')}`, completes: KINDS },
    limit: { short: 'n', value: 'N', help: 'So many at most (default 20)' },
    offset: { value: 'N', help: 'Skip so many' },
    quiet: { short: 'q', help: 'Only the ids' },
  },
  run: async (context, { options }) => {
    const status = options.running ? (['PENDING', 'EXECUTING'] as const) : options.status.map(statusOf);
    const client = await context.connect();
    const result = await client.call('list_operations', {
      ...(status.length === 0 ? {} : { status: [...status] }),
      ...(options.kind === undefined ? {} : { kind: kindOf(options.kind) }),
      limit: numberOption('ps', 'limit', options.limit) ?? 20,
      offset: numberOption('ps', 'offset', options.offset) ?? 0,
    });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (options.quiet) for (const operation of result.operations) out.line(operation.operation_id);
    else if (result.operations.length === 0) err.line(options.running ? 'Nothing is running.' : 'No operations.');
    else {
      for (const line of operationTable(result.operations, out)) out.line(line);
      const rest = result.total - result.operations.length;
      if (rest > 0) err.line(err.style('dim', `${plural(rest, 'operation')} more: --limit, --offset`));
    }
    return EXIT.ok;
  },
});

function statusOf(text: string): OperationStatus {
  const status = STATUSES.find(candidate => candidate === text.toUpperCase());
  if (status === undefined) throw new UsageError(`--status is one of ${STATUSES.join(', ')}, not ${text}`, 'ps');
  return status;
}

function kindOf(text: string): OperationKind {
  const kind = KINDS.find(candidate => candidate === text || candidate.startsWith(`${text}_`));
  if (kind === undefined) throw new UsageError(`--kind is one of ${KINDS.join(', ')}, not ${text}`, 'ps');
  return kind;
}

export function operationTable(operations: readonly OperationView[], channel: Channel): readonly string[] {
  return tableLines(
    [
      { title: 'OPERATION' },
      { title: 'STATUS' },
      { title: 'TIME', align: 'right' },
      { title: 'STARTED' },
      { title: 'IMAGE' },
      { title: 'RESULT' },
      { title: 'COMMAND', flexible: true },
    ],
    operations.map(operation => [
      channel.style('cyan', shortId(operation.operation_id)),
      statusText(operation, channel),
      timeText(operation),
      humanAge(operation.created_at),
      operation.image === null ? '' : shortId(operation.image),
      madeImage(operation),
      oneLine(operation.title, 200),
    ]),
    channel,
  );
}

function madeImage(operation: OperationView): string {
  const { result_image: result } = operation;
  return result === null || result === operation.image ? '' : shortId(result);
}

export function timeText(operation: OperationView): string {
  if (operation.duration_ms !== null) return humanDuration(operation.duration_ms);
  return operation.started_at === null ? '' : humanDuration(Date.now() - Date.parse(operation.started_at));
}

export function statusText(operation: OperationView, channel: Channel): string {
  switch (operation.status) {
    case 'PENDING':
      return channel.style('dim', 'queued');
    case 'EXECUTING':
      return channel.style('blue', 'running');
    case 'SUCCESS':
      return channel.style('green', 'ok');
    case 'CANCELLED':
      return channel.style('yellow', 'cancelled');
    case 'FAILED':
      return channel.style('red', failureText(operation));
  }
}

export function failureText(operation: OperationView): string {
  if (operation.timed_out) return 'timed out';
  if (operation.signal !== null) return operation.signal;
  return operation.exit_code === null ? (operation.error?.code ?? 'failed') : `exit ${operation.exit_code}`;
}

import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { Call, Handlers } from '../call.ts';
import type { Spools } from '../store/spools.ts';
import { firstCharacter, incompleteTail, LONGEST_CHARACTER, orphanedHead } from '../store/text.ts';
import { loneHint } from './hints.ts';
import { finished } from './operationStore.ts';
import type { Operations } from './operations.ts';
import type { OutputFeed } from './outputFeed.ts';

type OperationVerb = 'read_output' | 'list_operations' | 'get_operation' | 'wait_operations' | 'cancel_operation';

/** `processOutput` knows the processes of sandboxes, whose output is read in the same way. */
export function operationVerbs(
  operations: Operations,
  spools: Spools,
  feed: OutputFeed,
  processOutput: (id: string) => OutputSource,
): Pick<Handlers, OperationVerb> {
  const source = (id: string): OutputSource => {
    if (id.startsWith('pr-')) return processOutput(id);
    const record = operations.record(id);
    return {
      ended: finished(record.status),
      capped: { stdout: record.stdoutCapped, stderr: record.stderrCapped },
    };
  };
  return {
    async list_operations(request) {
      const statuses = request.status === undefined ? undefined : [...new Set([request.status].flat())];
      const { operations: records, total } = operations.list(
        {
          statuses,
          kind: request.kind ?? request.type,
          group: request.group,
          since: time(request.since),
          until: time(request.until),
        },
        request.limit,
        request.offset,
      );
      return { operations: records.map(record => operations.view(record)), total };
    },
    async get_operation(request) {
      return operations.result(operations.record(request.operation_id), request.truncate_output_at);
    },
    async read_output(request, call) {
      for (;;) {
        const read = readOutput(spools, request, source(request.operation_id));
        if (!request.wait || read.next_offset > read.offset || read.eof) return read;
        await feed.moved(request.operation_id, call.signal);
        call.signal.throwIfAborted();
      }
    },
    wait_operations: (request, call) => waitOperations(operations, request, call),
    async cancel_operation(request) {
      const { cancelled, record } = await operations.cancel(request.operation_id);
      return { operation_id: record.id, cancelled, status: record.status };
    },
  };
}

export const time = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Date.parse(text);

async function waitOperations(
  operations: Operations,
  request: VerbRequest<'wait_operations'>,
  call: Call,
): Promise<VerbResult<'wait_operations'>> {
  const ids = [...new Set(request.operation_ids)];
  const known = ids.filter(id => operations.find(id));
  const timeout = AbortSignal.timeout(request.timeout * 1000);
  const stop = AbortSignal.any([call.signal, timeout]);
  const waits = known.map(id => operations.ended(id, stop));
  if (request.mode === 'any' && waits.length > 0) await Promise.race(waits);
  else await Promise.all(waits);
  call.signal.throwIfAborted();

  const isDone = (id: string) => finished(operations.record(id).status);
  const remaining = known.filter(id => !isDone(id));
  const timedOut =
    timeout.aborted && (request.mode === 'all' ? remaining.length > 0 : remaining.length === known.length);
  const cancelled: string[] = [];
  if (request.cancel_remaining) {
    const outcomes = await Promise.all(remaining.map(id => operations.cancel(id)));
    for (const outcome of outcomes) if (outcome.cancelled) cancelled.push(outcome.record.id);
  }
  const completed = known.filter(isDone);
  return {
    results: Object.fromEntries(
      completed.map(id => [id, operations.result(operations.record(id), request.truncate_output_at)]),
    ),
    completed: completed.filter(id => !cancelled.includes(id)),
    pending: known.filter(id => !isDone(id)),
    cancelled,
    unknown: ids.filter(id => !known.includes(id)),
    timed_out: timedOut,
    hints: loneHints(operations, ids),
  };
}

function loneHints(operations: Operations, ids: readonly string[]): string[] {
  const record = ids.length === 1 ? operations.find(ids[0]!) : undefined;
  if (record?.kind !== 'run' || record.finishedAt === null || record.client !== 'mcp') return [];
  const span = { statuses: undefined, kind: undefined, since: record.createdAt, until: record.finishedAt };
  const alone = operations.list(span, 2, 0).total === 1;
  const hint = loneHint(alone, record.finishedAt - record.createdAt);
  return hint === undefined ? [] : [hint];
}

/** Something whose output is in a spool: an operation, or a process of a sandbox. */
export interface OutputSource {
  readonly ended: boolean;
  readonly capped: { readonly stdout: boolean; readonly stderr: boolean };
}

export function readOutput(
  spools: Spools,
  request: Omit<VerbRequest<'read_output'>, 'wait'>,
  source: OutputSource,
): VerbResult<'read_output'> {
  const { operation_id: id, stream, encoding } = request;
  const written = spools.size(id, stream);
  const start = request.tail === undefined ? request.offset : Math.max(0, written - request.tail);
  const length = request.tail ?? request.length;
  const { bytes, size } = spools.read(id, stream, start, length + LONGEST_CHARACTER);
  const head = encoding === 'text' && request.tail !== undefined && start > 0 ? orphanedHead(bytes) : 0;
  const end = encoding === 'text' ? wholeCharacters(bytes, head, length, source.ended) : Math.min(length, bytes.length);
  return {
    text: bytes.subarray(head, end).toString(encoding === 'text' ? 'utf8' : 'base64'),
    offset: start + head,
    next_offset: start + end,
    size,
    eof: source.ended && start + end >= size,
    capped: source.capped[stream],
  };
}

/** Where a piece of at most `length` bytes ends. */
function wholeCharacters(bytes: Buffer, head: number, length: number, ended: boolean): number {
  const piece = bytes.subarray(0, length);
  // At the end of a finished stream a broken character is all there will ever be of it.
  if (ended && bytes.length <= length) return piece.length;
  const end = piece.length - incompleteTail(piece);
  // A request for less than one character still gets one, or a reader would never move on.
  return end <= head && bytes.length > length ? head + firstCharacter(bytes.subarray(head)) : Math.max(head, end);
}

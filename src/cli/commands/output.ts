import type { EngineClient } from '../../client/engineClient.ts';
import type { OperationResult } from '../../protocol/schemas/operations.ts';
import { humanAge, humanDuration, humanSize, oneLine } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { errorLine } from '../errorReport.ts';
import { EXIT } from '../exitCode.ts';
import { fieldLines } from '../fieldLines.ts';
import { followOperation } from '../followOperation.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { fullOperationId } from '../references.ts';
import type { Channel } from '../terminal.ts';
import { UsageError } from '../usageError.ts';
import { statusText } from './ps.ts';

const STREAMS = ['stdout', 'stderr'] as const;
const PIECE = 1_048_576;

export const output = defineCommand({
  name: 'output',
  group: 'Operations',
  summary: 'Print what an operation wrote',
  description: 'Its stdout goes to stdout and its stderr to stderr, whole and byte for byte, also while it is running.',
  arguments: [{ name: 'OPERATION', help: 'op-… or its beginning, or a process pr-…', completes: 'operation' }],
  options: {
    follow: { short: 'f', help: 'Stay and print what comes, until it ends' },
    stream: { value: 'NAME', help: 'Only stdout or only stderr', completes: STREAMS },
    tail: { value: 'BYTES', help: 'Only the last bytes of each stream' },
  },
  run: async (context, { words: [reference = ''], options }) => {
    const stream = STREAMS.find(name => name === options.stream);
    if (options.stream !== undefined && !stream)
      throw new UsageError(`--stream is stdout or stderr, not ${options.stream}`, 'output');
    const tail = numberOption('output', 'tail', options.tail);
    const client = await context.connect();
    const id = await fullOperationId(client, reference);
    if (options.follow) {
      await followOperation(client, id, context.terminal, stream);
      return EXIT.ok;
    }
    if (context.json) {
      printJson(context, await outputDocument(client, id, tail));
      return EXIT.ok;
    }
    for (const name of stream ? [stream] : STREAMS) {
      const channel = name === 'stdout' || stream ? context.terminal.out : context.terminal.err;
      await copyStream(client, id, name, tail, channel);
    }
    return EXIT.ok;
  },
});

async function copyStream(
  client: EngineClient,
  id: string,
  stream: 'stdout' | 'stderr',
  tail: number | undefined,
  channel: Channel,
): Promise<void> {
  let offset = tail === undefined ? 0 : await tailOffset(client, id, stream, tail);
  for (;;) {
    const piece = await client.call('read_output', {
      operation_id: id,
      stream,
      offset,
      length: PIECE,
      encoding: 'base64',
    });
    channel.write(Buffer.from(piece.text, 'base64'));
    if (piece.next_offset === offset || piece.next_offset >= piece.size) return;
    offset = piece.next_offset;
  }
}

async function tailOffset(
  client: EngineClient,
  id: string,
  stream: 'stdout' | 'stderr',
  tail: number,
): Promise<number> {
  return (await client.call('read_output', { operation_id: id, stream, tail, encoding: 'base64' })).offset;
}

async function outputDocument(client: EngineClient, id: string, tail: number | undefined): Promise<object> {
  const read = (stream: 'stdout' | 'stderr') =>
    client.call('read_output', {
      operation_id: id,
      stream,
      ...(tail === undefined ? { length: 16_777_216 } : { tail }),
    });
  const [stdout, stderr] = await Promise.all([read('stdout'), read('stderr')]);
  return { operation_id: id, stdout, stderr };
}

export function operationFields(operation: OperationResult, channel: Channel): readonly string[] {
  const { resources, output_bytes: bytes } = operation;
  return fieldLines(
    [
      ['operation', channel.style('cyan', operation.operation_id)],
      ['kind', operation.kind],
      ['command', oneLine(operation.title, 2000)],
      ['status', statusText(operation, channel)],
      ['exit code', operation.exit_code === null ? null : String(operation.exit_code)],
      ['error', operation.error ? errorLine(operation.error) : null],
      ['image', operation.image],
      ['result', operation.result_image],
      ['changed', operation.filesystem_changed === null ? null : operation.filesystem_changed ? 'yes' : 'no'],
      ['kept', operation.kind === 'run' ? (operation.disposable ? 'no' : 'yes') : null],
      ['state', operation.directory_state_id],
      ...(operation.steps ?? []).map(
        step =>
          [
            'steps',
            [step.image, step.cached ? 'cached' : `exit ${step.exit_code ?? '?'}`, oneLine(step.command, 200)]
              .filter(part => part !== null)
              .join('  '),
          ] as const,
      ),
      ['created', `${humanAge(operation.created_at)}  (${operation.created_at}, by ${operation.client})`],
      ['took', operation.duration_ms === null ? null : humanDuration(operation.duration_ms)],
      ['processor', resources.cpu_ms === null ? null : humanDuration(resources.cpu_ms)],
      ['memory', resources.max_rss === null ? null : humanSize(resources.max_rss)],
      ['output', `stdout ${humanSize(bytes.stdout)}, stderr ${humanSize(bytes.stderr)}: coppice output`],
      ['last line', operation.last_line === '' ? null : oneLine(operation.last_line, 200)],
    ],
    channel,
  );
}

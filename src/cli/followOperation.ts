import type { EngineClient } from '../client/engineClient.ts';
import { followOutput } from '../client/followOutput.ts';
import type { StreamName } from '../protocol/events.ts';
import type { OperationResult } from '../protocol/schemas/operations.ts';
import type { Terminal } from './terminal.ts';

const LONGEST_WAIT_S = 604_800;

/** Resolves with the operation when it has ended, however long that takes. */
export async function operationEnd(client: EngineClient, id: string, truncateAt: number = 0): Promise<OperationResult> {
  for (;;) {
    const waited = await client.call('wait_operations', {
      operation_ids: [id],
      timeout: LONGEST_WAIT_S,
      truncate_output_at: truncateAt,
    });
    const result = waited.results[id];
    if (result && waited.pending.length === 0) return result;
    if (waited.unknown.length > 0) return client.call('get_operation', { operation_id: id }); // Says what is wrong with it.
  }
}

/** Writes an operation's output where it belongs, live, until it has ended. */
export async function followOperation(
  client: EngineClient,
  id: string,
  terminal: Pick<Terminal, 'out' | 'err'>,
  only?: StreamName,
): Promise<OperationResult> {
  const end = operationEnd(client, id);
  const sink = {
    write: (stream: StreamName, bytes: Buffer) => {
      if (only === undefined) (stream === 'stdout' ? terminal.out : terminal.err).write(bytes);
      else if (stream === only) terminal.out.write(bytes);
    },
  };
  await followOutput(client, id, sink, end);
  return end;
}

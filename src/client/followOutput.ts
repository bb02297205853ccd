import { CoppiceError } from '../protocol/errors.ts';
import type { OutputEvent, StreamName } from '../protocol/events.ts';
import type { EngineClient } from './engineClient.ts';

export interface OutputSink {
  write(stream: StreamName, bytes: Buffer): void;
}

/**
 * Writes a process's whole output to the sink, live and without gaps: what events missed is read from the spool.
 * Ends when `finished` has resolved and the rest is written.
 */
export async function followOutput(
  client: EngineClient,
  source: string,
  sink: OutputSink,
  finished: Promise<unknown>,
): Promise<void> {
  const positions: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  let queue: Promise<void> = Promise.resolve();
  const enqueue = (work: () => Promise<void>) => {
    queue = queue.then(work);
    queue.catch(() => undefined); // Reported by the await at the end.
  };
  const catchUp = async (stream: StreamName, until: number) => {
    while (positions[stream] < until) {
      const length = Math.min(until - positions[stream], 1_048_576);
      const piece = await client.call('read_output', {
        operation_id: source,
        stream,
        offset: positions[stream],
        length,
        encoding: 'base64',
      });
      const bytes = Buffer.from(piece.text, 'base64');
      if (bytes.length === 0) return;
      sink.write(stream, bytes);
      positions[stream] += bytes.length;
    }
  };
  const catchUpAll = async () => {
    await catchUp('stdout', Number.POSITIVE_INFINITY);
    await catchUp('stderr', Number.POSITIVE_INFINITY);
  };
  const take = async (event: OutputEvent) => {
    await catchUp(event.stream, event.offset);
    const bytes = Buffer.from(event.data, 'base64').subarray(positions[event.stream] - event.offset);
    if (bytes.length === 0) return;
    sink.write(event.stream, bytes);
    positions[event.stream] += bytes.length;
  };
  const stop = await client.subscribe(
    ['output'],
    event => {
      if (event.topic === 'output') enqueue(() => take(event));
      else if (event.topic === 'lagged') enqueue(catchUpAll);
    },
    [source],
  );
  // What was written before we listened; a process that shall start only now has nothing.
  enqueue(() => catchUpAll().catch(unlessNotThereYet));
  try {
    await finished;
  } finally {
    await stop().catch(() => undefined); // The connection may be gone; the reads below say so.
  }
  await queue;
  await catchUpAll();
}

function unlessNotThereYet(error: unknown): void {
  if (!(error instanceof CoppiceError && error.code === 'process_not_found')) throw error;
}

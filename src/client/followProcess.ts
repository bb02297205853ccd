import { randomBytes } from 'node:crypto';
import type { ProcessView } from '../protocol/schemas/sandboxes.ts';
import type { VerbInput } from '../protocol/verbs.ts';
import type { EngineClient } from './engineClient.ts';
import { followOutput, type OutputSink } from './followOutput.ts';

export const newProcessId = (): string => `pr-${randomBytes(8).toString('hex')}`;

/** Starts a process and follows it to its end. Its output is subscribed to first, so that not even a prompt is late. */
export async function followProcess(
  client: EngineClient,
  input: VerbInput<'exec'> & { readonly process_id: string },
  sink: OutputSink,
  started: () => void,
): Promise<ProcessView> {
  let begin = (): void => {};
  const subscribed = new Promise<void>(resolve => {
    begin = resolve;
  });
  const ended = subscribed.then(async () => {
    await client.call('exec', input);
    started();
    return client.call('wait_process', { process_id: input.process_id });
  });
  const followed = followOutput(client, input.process_id, sink, ended);
  begin();
  await followed;
  return ended;
}

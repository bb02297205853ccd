import { createInterface } from 'node:readline';
import { EngineClient } from '../../src/client/engineClient.ts';
import { toWireError } from '../../src/protocol/errors.ts';
import { engineScript } from './coppiceHome.ts';

// A client in a process of its own, for tests that stop or kill one: `node clientProgram.ts HOME`.
// First line out: the engine's info. Then one call a line in, `{"id", "verb", "input"}`, one answer a line out.

const [home = ''] = process.argv.slice(2);
const client = await EngineClient.connect({ home, script: engineScript, start: true }, 'cli');
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
say(client.engine);
const lines = createInterface({ input: process.stdin });
lines.on('line', line => void answer(JSON.parse(line)));
lines.once('close', () => client.close());

async function answer({ id, verb, input }: { id: number; verb: string; input: unknown }): Promise<void> {
  try {
    if (verb === 'follow') {
      const { operation_id } = input as { operation_id: string };
      await client.subscribe(['output', 'operation'], () => {}, [operation_id]);
      say({ id, result: null });
    } else say({ id, result: await client.callByName(verb, input) });
  } catch (error) {
    say({ id, error: toWireError(error) });
  }
}

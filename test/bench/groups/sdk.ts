import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Arena } from '../arena.ts';
import { injectedDelay } from '../delay.ts';
import { measure, timed } from '../measure.ts';
import { LineProgram } from '../peers/programs.ts';
import type { Row } from '../row.ts';

const program = path.join(import.meta.dirname, '..', 'programs', 'sdk.mjs');
const isolation = 'none: only the way to the engine is measured';

/** The SDK's own numbers: how long `.get()` is on its way, and how long a script takes to its first one. */
export async function* sdk(arena: Arena, turns: number): AsyncGenerator<Row> {
  yield await roundTrip(arena, turns);
  yield await coldStart(arena, turns);
}

const get = '.get() on a living sandbox’s status';

async function roundTrip(arena: Arena, turns: number): Promise<Row> {
  const { sandbox_id } = await arena.client.call('create_sandbox', { image: 'tag:bench/busybox', network: 'none' });
  const script = new LineProgram(process.execPath, [program], { COPPICE_HOME: arena.home.path });
  try {
    const lines = await measure(
      [
        {
          name: get,
          kind: 'ours',
          isolation,
          once: async () => {
            const taken = Number(await script.ask('get'));
            await injectedDelay();
            return taken;
          },
        },
        {
          name: 'the same awaited on the socket, without a thread between',
          kind: 'floor',
          isolation,
          once: () => timed(() => arena.client.call('get_sandbox', { sandbox_id })),
        },
      ],
      turns * 10,
      100,
    );
    const goals = [{ line: get, atMost: 0.2 }];
    return { goal: 18, title: 'round trip of a blocking call', unit: 'ms', lines, goals, notes: [] };
  } finally {
    script.close();
    await arena.client.call('stop_sandbox', { sandbox_id });
  }
}

const cold = 'a script from its start to its first .get()';

async function coldStart(arena: Arena, turns: number): Promise<Row> {
  const env = { ...process.env, COPPICE_HOME: arena.home.path };
  const once = async () => Number((await promisify(execFile)(process.execPath, [program, 'cold'], { env })).stdout);
  const empty = async () =>
    Number((await promisify(execFile)(process.execPath, ['-p', 'performance.now()'], { env })).stdout);
  const lines = await measure(
    [
      { name: cold, kind: 'ours', isolation, once },
      { name: 'Node with nothing to do', kind: 'floor', isolation, once: empty },
    ],
    turns,
  );
  const goals = [{ line: cold, atMost: 250 }];
  return { goal: 19, title: 'cold start of a script, the engine running', unit: 'ms', lines, goals, notes: [] };
}

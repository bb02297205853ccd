import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { testRuntime, without } from '../harness/testRuntime.ts';
import { type Ended, runProgram } from './program.ts';

/** The spec's table in every kind of program there is. The rows are in `programs/rows.cjs`. */

interface Told {
  readonly name: string;
  readonly error?: string;
  readonly image?: string;
}

const programs = {
  'ESM script': 'script.mjs',
  'CJS script': 'script.cjs',
  'worker thread': 'thread.mjs',
  'async program': 'async.mjs',
  'the blocking SDK, awaited': 'both.mjs',
} as const;
const { rows } = createRequire(import.meta.url)('./programs/rows.cjs') as { rows: Record<string, unknown> };
/** The function row runs on the machine's own Node, in `host:`. */
const withoutNode =
  without('host:') ||
  (['/usr/bin/node', '/usr/local/bin/node'].some(existsSync) ? false : 'no Node below /usr to run inside');

let engine: TestEngine;
const ended = new Map<string, Ended>();

before(async () => {
  process.env.COPPICE_IMAGE = 'tag:busybox';
  engine = await startEngine();
  await engine.busybox();
  const input = { image: 'tag:busybox', network: 'none' as const, tags: ['foreign'] };
  const { sandbox_id } = await engine.client.call('create_sandbox', input);
  const content_base64 = Buffer.from('of another program').toString('base64');
  await engine.client.call('write_sandbox_file', { sandbox_id, path: '/mark', content_base64 });
  const env = {
    COPPICE_HOME: engine.home,
    COPPICE_ROWS: JSON.stringify({
      foreign: sandbox_id,
      node: withoutNode === false,
      context: contextOfDockerfile(),
      builds: testRuntime !== 'native',
    }),
  };
  const run = async (name: string, file: string) => {
    ended.set(name, await runProgram(path.join('programs', file), { env, seconds: 120 }));
  };
  // Two at once: the machine has two cores.
  const all = Object.entries(programs);
  await Promise.all(
    [all.slice(0, 3), all.slice(3)].map(async some => {
      for (const [name, file] of some) await run(name, file);
    }),
  );
});
after(async () => engine[Symbol.asyncDispose]());

function contextOfDockerfile(): string {
  const folder = engine.folder.join('context');
  mkdirSync(folder);
  const lines = ['FROM tag:busybox AS good', 'ARG WHO', 'RUN echo $WHO > /who', 'FROM good', 'RUN echo no; exit 5', ''];
  writeFileSync(path.join(folder, 'Dockerfile'), lines.join('\n'));
  return folder;
}

for (const program of Object.keys(programs)) {
  describe(program, () => {
    const told = (): Told[] =>
      ended
        .get(program)!
        .stdout.split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line) as Told);
    for (const name of Object.keys(rows)) {
      test(name, async t => {
        const row = told().find(each => each.name === name);
        if (!row) throw new Error(`the program ended before: ${ended.get(program)!.stderr}`);
        assert.equal(row.error, undefined);
        if (name.startsWith('function') && withoutNode !== false) t.skip(withoutNode);
        if (row.image === undefined) return;
        const lineage = await engine.client.call('lineage', { image: row.image });
        const base = await engine.client.call('get_image', { image: 'tag:busybox' });
        assert.equal(lineage.parent?.image, base.uuid);
        assert.match(lineage.parent?.command ?? '', /^snapshot sb-/);
      });
    }
    test('ends by itself, and nothing of it lives on', async () => {
      const { code, signal, stderr } = ended.get(program)!;
      assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    });
  });
}

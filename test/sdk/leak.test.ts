import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { runProgram } from './program.ts';

let engine: TestEngine;

before(async () => {
  process.env.COPPICE_IMAGE = 'tag:busybox';
  engine = await startEngine();
  await engine.busybox();
});
after(async () => engine[Symbol.asyncDispose]());

const living = async (tag: string) =>
  (await engine.client.call('list_sandboxes', { tags: [tag] })).sandboxes.map(each => each.tags.at(-1));

/** How a program ends → its exit code, or the signal it is sent. */
const ways = {
  'by itself': 0,
  'process.exit': 3,
  'a throw': 1,
  'an unhandled rejection': 1,
  'process.exit in a callback': 4,
  'SIGTERM while blocked': 'SIGTERM',
  'SIGKILL while blocked': 'SIGKILL',
} as const;

describe('a program that ends leaves no sandbox, but what is detached', () => {
  for (const [way, end] of Object.entries(ways)) {
    test(way, async () => {
      const tag = `leak-${way.replaceAll(/\W/g, '-')}`;
      let sent = false;
      const onOutput = (_: string, pid: number) => {
        if (typeof end === 'number' || sent) return;
        sent = true;
        setTimeout(() => process.kill(pid, end), 300);
      };
      const env = { COPPICE_HOME: engine.home };
      const ended = await runProgram('programs/leak.mjs', { env, args: [way, tag], onOutput });
      assert.deepEqual([ended.stdout, ended.signal ?? ended.code], ['ready\n', end], ended.stderr);
      await eventually('only the detached one lives', async () => (await living(tag)).join() === 'detached', 5);
      const [left] = (await engine.client.call('list_sandboxes', { tags: [tag] })).sandboxes;
      await engine.client.call('stop_sandbox', { sandbox_id: left!.sandbox_id });
    });
  }
});

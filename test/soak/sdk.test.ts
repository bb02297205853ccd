import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { runProgram } from '../sdk/program.ts';

let engine: TestEngine;

before(async () => {
  process.env.COPPICE_IMAGE = 'tag:busybox';
  engine = await startEngine();
  await engine.busybox();
});
after(async () => engine[Symbol.asyncDispose]());

async function prints(args: readonly string[], line: string): Promise<void> {
  const options = { env: { COPPICE_HOME: engine.home }, args, seconds: 240 };
  const { code, signal, stdout, stderr } = await runProgram('programs/long.mjs', options);
  assert.deepEqual({ code, signal, stdout, stderr }, { code: 0, signal: null, stdout: `${line}\n`, stderr: '' });
}

const seed = Math.floor(Math.random() * 1_000_000);
test(`10,000 times get, await and iterate on shared refs, in an order made from ${seed}`, () =>
  prints(['mixed', String(seed)], 'settled 100'));
test('a megabyte a second on stdout with stderr silent', () => prints(['talkative'], 'read 5000000'));
test('a flood that nobody reads', () => prints(['flood'], 'flooded 300000000'));
test('a file of 300 MiB', () => prints(['large'], 'came back 314572800'));

test('an engine that is stopped is not waited for: neither by who connects nor by who is connected', async () => {
  await using stopped = await startEngine();
  await stopped.busybox();
  const { pid } = stopped.client.engine;
  const env = { COPPICE_HOME: stopped.home };
  let sent = false;
  const onOutput = () => {
    if (!sent) process.kill(pid, 'SIGSTOP');
    sent = true;
  };
  try {
    const args = ['blocked, then asks again'];
    const { stdout } = await runProgram('programs/hang.mjs', { env, args, seconds: 60, onOutput });
    const told = stdout
      .split('\n')
      .filter(line => line.includes('name'))
      .map(line => JSON.parse(line) as { readonly name: string; readonly milliseconds: number });
    assert.deepEqual(
      told.map(each => each.name),
      ['EngineDiedError', 'EngineUnreachableError'],
    );
    for (const each of told) assert.ok(each.milliseconds < 10_000, JSON.stringify(each));
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});

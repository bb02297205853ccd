import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { runProgram } from './program.ts';

/** Enough of a Python for the seed's `print(1+1)`: the shell counts. */
const PYTHON = `#!/bin/sh
[ "$1" = -c ] && sum=$(echo "$2" | sed -n 's/^print(\\([-0-9+*]*\\))$/\\1/p') && [ -n "$sum" ] && exec echo $((sum))
echo 'this python only counts' >&2
exit 1
`;

let engine: TestEngine;

before(async () => {
  process.env.COPPICE_IMAGE = 'tag:programs';
  engine = await startEngine();
  const rootfs = engine.folder.join('programs');
  mkdirSync(rootfs);
  makeBusyboxRootfs(rootfs);
  writeFileSync(`${rootfs}/bin/python`, PYTHON);
  chmodSync(`${rootfs}/bin/python`, 0o755);
  await engine.client.call('import_image', { registry_url: `rootfs:${rootfs}`, tag: 'programs' });
});
after(async () => engine[Symbol.asyncDispose]());

async function prints(file: string, expected: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runProgram(file, { env: { COPPICE_HOME: engine.home } });
  assert.deepEqual({ code, lines: stdout.trim().split('\n'), stderr }, { code: 0, lines: expected, stderr: '' });
}

describe('a program', () => {
  test('of the seed runs line by line in coppice/compat', () => prints('programs/seed.mjs', ['ported']));
});

describe('an example', () => {
  const example = (name: string, lines: readonly string[]) => prints(`../../examples/sdk/${name}.mjs`, lines);

  test('is a plain script', () =>
    example('script', [
      'primes: 2 3 5 7 11 13 17 19 23 29',
      'branch: 1',
      'branch: 2',
      'branch: 3',
      'line: a',
      'line: b',
      'line: c',
    ]));
  test('is async code', () =>
    example('async', ['Linux 5', 'build: compiling', 'build: linking', 'failed with 2 broken']));
  test('is a notebook', () =>
    example('notebook', [
      '[1] running',
      '[2] 2',
      '[3] Found 1 sandboxes',
      '[4] awaited',
      '[5] SandboxFileError: path_not_found',
      '[6] terminated',
    ]));
  test('is an agent loop', () =>
    example('agent', [
      'kept: mkdir /app && echo "3 4" > /app/input',
      'rolled back: awk "{ print \\$1 / 0 }" /app/input',
      'kept: awk "{ print \\$1 * \\$2 }" /app/input > /app/answer',
      'answer: 12',
      'left: 1',
    ]));
});

describe('the way to the engine', () => {
  const program = '../bench/programs/sdk.mjs';
  const env = () => ({ COPPICE_HOME: engine.home, COPPICE_BENCH_IMAGE: 'tag:programs' });

  // What an idle machine does is in the benchmark; a busy one must not fail for being busy.
  test('takes a script little time to its first result', async () => {
    const { stdout } = await runProgram(program, { env: env(), args: ['cold'] });
    assert.ok(Number(stdout) < 5_000, `${stdout} ms`);
  });

  test('is short for each result', async () => {
    const { stdout } = await runProgram(program, { env: env(), args: ['many'] });
    assert.ok(Number(stdout) < 20, `${stdout} ms`);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineProgram } from '../../bench/peers/programs.ts';

test('a program answers lines in turn', async () => {
  const program = new LineProgram('sed', ['-u', 's/^/got /']);
  assert.deepEqual(await Promise.all([program.ask('a'), program.ask('b')]), ['got a', 'got b']);
  program.close();
});

test('a program that ends, or never was, is no program to wait for', async () => {
  const ending = new LineProgram('sh', ['-c', 'read line; exit 3']);
  await assert.rejects(ending.ask('a'), /ended with exit code 3/);
  await assert.rejects(ending.ask('b'), /ended with exit code 3/);
  await assert.rejects(new LineProgram('/nowhere/nothing', []).ask('a'), /ENOENT/);
});

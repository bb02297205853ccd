import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { it } from 'node:test';
import { excludedPaths } from '../../../src/workspace/excludedPaths.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

const options = { defaults: true, gitignore: true, exclude: ['*.big'] };

it('names what is left out, folders as one, at every level', async t => {
  using folder = new TemporaryFolder();
  const make = (file: string, text = '') => {
    mkdirSync(path.dirname(folder.join(file)), { recursive: true });
    writeFileSync(folder.join(file), text);
  };
  make('.gitignore', '/out\n');
  make('sub/.gitignore', 'only-here\n!kept.big\n');
  for (const file of ['a.txt', 'out/x', 'sub/out/x', 'sub/only-here', 'only-here', 'x.big', 'ä/ö.big']) make(file);
  for (let index = 0; index < 20; index++) make(`node_modules/m/${index}`);
  symlinkSync('/', folder.join('link'));
  const signal = AbortSignal.timeout(10_000);
  assert.deepEqual(await excludedPaths(folder.path, options, 100, signal), {
    paths: ['node_modules/', 'out/', 'sub/only-here', 'x.big', 'ä/ö.big'],
    more: false,
  });
  const few = await excludedPaths(folder.path, options, 2, signal);
  assert.deepEqual(few, { paths: ['node_modules/', 'out/'], more: true });
  await t.test('and ends when it is cancelled', async () => {
    await assert.rejects(excludedPaths(folder.path, options, 100, AbortSignal.abort()), { name: 'AbortError' });
  });
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { RandomTree, random } from '../harness/randomTree.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { pictureInside, pictureOf, withoutTimes } from '../harness/treePicture.ts';

let engine: TestEngine;
let image: string;
let folder: TemporaryFolder;
let source: string;

before(async () => {
  engine = await startEngine();
  image = await engine.busybox();
});
after(async () => engine[Symbol.asyncDispose]());
beforeEach(context => {
  folder = new TemporaryFolder();
  source = path.join(folder.path, 'project');
  mkdirSync(source);
  (context as { after: (done: () => void) => void }).after?.(() => folder[Symbol.dispose]());
});

const write = (file: string, content: string, mode = 0o644) => {
  mkdirSync(path.dirname(path.join(source, file)), { recursive: true });
  writeFileSync(path.join(source, file), content, { mode });
};
const state = async (more: Partial<VerbInput<'rsync'>> = {}) =>
  (await engine.client.call('rsync', { source, destination: '/app', ...more })).directory_state_id;
async function run(command: string, more: Partial<VerbInput<'run'>> = {}): Promise<OperationResult> {
  const result = await engine.run(command, { image, cwd: '/app', ...more });
  assert.equal(result.status, 'SUCCESS', `${command}: ${result.stderr}${result.error?.message ?? ''}`);
  return result;
}
const keep = async (command: string, more: Partial<VerbInput<'run'>> = {}) =>
  (await run(command, { ...more, disposable: false })).result_image!;

test('random trees and edits: what a sandbox sees is the source, exactly', async () => {
  const seed = Number(process.env.COPPICE_SEED ?? Date.now() % 1_000_000);
  const rounds = Number(process.env.COPPICE_ROUNDS ?? 3);
  console.log(`seed ${seed}`);
  const next = random(seed);
  for (let round = 0; round < rounds; round++) {
    const at = path.join(folder.path, `tree${round}`);
    const tree = new RandomTree(at, next);
    for (let count = 0; count < 15; count++) tree.edit();
    await state({ source: at });
    const ids = new Set<string>();
    for (let step = 0; step < 8; step++) {
      const changed: Buffer[] = [];
      for (let count = 0; count < 1 + next() * 4; count++) changed.push(...tree.edit());
      const tellable = changed.every(file => Buffer.from(file.toString('utf8')).equals(file));
      const id = await state({
        source: at,
        ...(tellable ? { changed: changed.map(file => file.toString('utf8')) } : {}),
      });
      const view = ids.has(id) ? withoutTimes : (lines: string[]) => lines;
      ids.add(id);
      assert.deepEqual(
        view(await pictureInside(engine, { image, directory_state_id: id })),
        view(pictureOf(at)),
        `seed ${seed} round ${round} step ${step}`,
      );
    }
  }
});

test('nothing that a sandbox does to its files reaches the store, or another run', async () => {
  write('written', 'one');
  write('truncated', 'one');
  write('mode', 'two');
  write('time', 'three');
  write('linked', 'four');
  write('moved', 'five');
  write('sub/removed', 'six');
  write('run.sh', '#!/bin/sh\necho run', 0o755);
  symlinkSync('written', path.join(source, 'link'));
  utimesSync(path.join(source, 'time'), 1000, 1000);
  const id = await state();
  const seen = await pictureInside(engine, { image, directory_state_id: id });
  const blobs = blobPicture();
  const commands = [
    'echo more >> written; echo over > link',
    'truncate -s 1 truncated; : > written',
    'chmod 777 mode run.sh; chmod 000 time',
    'touch -d @5 time mode; chown 1:1 mode',
    'ln linked hard; echo x >> hard; ln linked sub/hard; chmod 600 sub/hard',
    'mv moved elsewhere; echo x > elsewhere; mv sub other; rm other/removed',
    'dd if=/dev/zero of=mode bs=1 count=1 conv=notrunc; cp -a run.sh copy; echo x >> copy',
    'rm -rf /app/*; ls -A',
  ];
  for (const disposable of [true, false]) {
    for (const command of [...commands, commands.join('; ')]) {
      await run(command, { directory_state_id: id, disposable });
      assert.deepEqual(blobPicture(), blobs, command);
    }
  }
  assert.deepEqual(await pictureInside(engine, { image, directory_state_id: id }), seen);
});

/** Every blob with all that could have been changed of it. */
function blobPicture(): string[] {
  const root = path.join(engine.home, 'blobs');
  return readdirSync(root)
    .filter(name => name.length === 2)
    .flatMap(prefix => readdirSync(path.join(root, prefix)).map(name => path.join(root, prefix, name)))
    .map(blob => {
      const hash = createHash('sha256').update(readFileSync(blob)).digest('hex');
      assert.equal(hash, path.basename(blob), 'a blob is what its name says');
      const { mode, mtimeMs, uid, size } = lstatSync(blob);
      return `${hash} ${mode.toString(8)} ${mtimeMs} ${uid} ${size}`;
    })
    .sort();
}

describe('a state that is laid again', () => {
  test('what it overrode is ground, not what the run wrote', async () => {
    write('f', 'state');
    write('gone', 'state');
    const id = await state();
    const first = await keep('echo run > f; rm gone; echo own > own', { directory_state_id: id });
    const second = await keep('cat f gone > other', { image: first, directory_state_id: id });
    assert.equal((await run('cat other own', { image: second })).stdout, 'statestateown\n');
    const { entries } = await engine.client.call('diff', { image: second });
    assert.deepEqual(
      entries.map(entry => `${entry.change} ${entry.path}`),
      ['A /app/other'],
    );
    const third = await keep('echo 3 > third', { image: second, directory_state_id: id });
    assert.deepEqual(
      (await engine.client.call('diff', { image: third })).entries.map(entry => `${entry.change} ${entry.path}`),
      ['A /app/third'],
    );
  });

  test('what a run hid behind a link of its own is not the state’s to hide', async () => {
    write('sub/f', 'state');
    write('stays', 'state');
    const first = await keep('rm -rf sub; mkdir /precious; echo mine > /precious/f; ln -s /precious sub', {
      directory_state_id: await state(),
    });
    unlinkSync(path.join(source, 'sub', 'f'));
    rmSync(path.join(source, 'sub'), { recursive: true });
    const seen = await run('cat /precious/f', { image: first, directory_state_id: await state() });
    assert.equal(seen.stdout, 'mine\n');
  });
});

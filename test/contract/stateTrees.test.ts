import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
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
import { eventually } from '../harness/eventually.ts';
import { RandomTree, random } from '../harness/randomTree.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { without } from '../harness/testRuntime.ts';
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

describe('a state that differs little from one that is there', () => {
  const layersMade = (before: readonly string[]) => layerFolders().filter(name => !before.includes(name));
  const layerFolders = () =>
    readdirSync(path.join(engine.home, 'native', 'layers')).filter(name => name.startsWith('s'));
  const filesIn = (layer: string) =>
    readdirSync(path.join(engine.home, 'native', 'layers', layer), { recursive: true, withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => entry.name);

  test('is laid as what changed, added and edited, and looks as if laid whole', {
    skip: without('own layers'),
  }, async () => {
    for (let n = 0; n < 40; n++) write(`d${n % 4}/f${n}`, `file ${n}`);
    write('run.sh', 'echo old', 0o755);
    await run('true', { directory_state_id: await state() });
    const before = layerFolders();
    write('d1/f1', 'edited');
    write('new/deep/file', 'added');
    chmodSync(path.join(source, 'd2'), 0o750);
    chmodSync(path.join(source, 'run.sh'), 0o644);
    const id = await state();
    assert.deepEqual(await pictureInside(engine, { image, directory_state_id: id }), pictureOf(source));
    const [layer, ...more] = layersMade(before);
    assert.deepEqual(more, []);
    assert.deepEqual(filesIn(layer!).sort(), ['f1', 'file', 'run.sh']);
    // What a run keeps stands on both, also when the state is not used any more.
    const kept = await keep('cat d1/f1 d2/f2 > out', { directory_state_id: id });
    assert.equal((await run('cat out d3/f3', { image: kept })).stdout, 'editedfile 2file 3');
    assert.deepEqual(
      (await engine.client.call('diff', { image: kept })).entries.map(entry => `${entry.change} ${entry.path}`),
      ['A /app/out'],
    );
    write('d1/f1', 'edited again');
    const later = await state();
    assert.equal(
      (await run('cat out d1/f1', { image: kept, directory_state_id: later })).stdout,
      'editedfile 2edited again',
    );
  });

  test('what the image has of its own where the state lost a file is seen again', async () => {
    const own = await keep('mkdir -p /app/sub; echo image > /app/f; echo image > /app/sub/g', { cwd: '/' });
    write('f', 'state');
    write('sub/g', 'state');
    write('other', 'state');
    assert.equal((await run('cat f sub/g', { image: own, directory_state_id: await state() })).stdout, 'statestate');
    unlinkSync(path.join(source, 'f'));
    assert.equal((await run('cat f sub/g', { image: own, directory_state_id: await state() })).stdout, 'image\nstate');
    unlinkSync(path.join(source, 'other'));
    mkdirSync(path.join(source, 'other'));
    write('other/in', 'now a folder');
    const id = await state();
    assert.equal(
      (await run('cat f sub/g other/in', { image: own, directory_state_id: id })).stdout,
      'image\nstatenow a folder',
    );
  });

  test('a ground that was laid anew as a mere difference is none', { skip: without('own layers') }, async () => {
    const other = path.join(folder.path, 'other');
    const elsewhere = path.join(folder.path, 'elsewhere');
    for (const place of [source, other]) {
      mkdirSync(place, { recursive: true });
      for (let n = 0; n < 6; n++) {
        writeFileSync(path.join(place, `f${n}`), `file ${n}`);
        utimesSync(path.join(place, `f${n}`), 1000, 1000);
      }
    }
    const whole = await state();
    await run('true', { directory_state_id: whole });
    // So many others that its tree is forgotten.
    mkdirSync(elsewhere);
    for (let n = 0; n < 18; n++) {
      writeFileSync(path.join(elsewhere, `g${n}`), `${n}`);
      await run('true', { directory_state_id: await state({ source: elsewhere, destination: '/else' }) });
    }
    // The other folder comes to look the same.
    writeFileSync(path.join(other, 'f0'), 'other');
    await run('true', { directory_state_id: await state({ source: other }) });
    writeFileSync(path.join(other, 'f0'), 'file 0');
    utimesSync(path.join(other, 'f0'), 1000, 1000);
    assert.equal(await state({ source: other }), whole);
    await run('true', { directory_state_id: whole });
    write('f1', 'edited');
    const id = await state();
    assert.deepEqual(await pictureInside(engine, { image, directory_state_id: id }), pictureOf(source));
  });

  test('what a sandbox keeps has the state under it, though the image that also had it is removed meanwhile', async () => {
    write('f', 'state');
    const directory_state_id = await state();
    const first = await keep('true > made', { directory_state_id });
    const { sandbox_id } = await engine.client.call('create_sandbox', { image, directory_state_id, network: 'none' });
    await engine.client.call('write_sandbox_file', {
      sandbox_id,
      path: '/app/own',
      content_base64: Buffer.from('own').toString('base64'),
    });
    await engine.client.call('remove_image', { image: first, force: true });
    const { image: kept } = await engine.client.call('snapshot', { sandbox_id });
    await engine.client.call('stop_sandbox', { sandbox_id });
    await eventually('the sandbox is cleared', () => !existsSync(path.join(engine.home, 'native', 'runs', sandbox_id)));
    assert.equal((await run('cat f own', { image: kept })).stdout, 'stateown');
  });

  test('thirty edits in a row, each run, also with the first image gone', async () => {
    for (let n = 0; n < 20; n++) write(`f${n}`, `file ${n}`);
    let kept = await keep('true > made', { directory_state_id: await state() });
    for (let n = 0; n < 30; n++) {
      write(`f${n % 20}`, `edit ${n}`);
      const id = await state();
      const result = await run(`cat f${n % 20} f${(n + 1) % 20}`, {
        image: n % 3 === 0 ? kept : image,
        directory_state_id: id,
      });
      assert.equal(result.stdout, `edit ${n}${n < 19 ? `file ${n + 1}` : `edit ${n - 19}`}`);
      if (n % 10 !== 9) continue;
      const next = await keep(`echo ${n} >> made`, { image: kept, directory_state_id: id });
      await engine.client.call('remove_image', { image: kept, force: true });
      kept = next;
    }
  });
});

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

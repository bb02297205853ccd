import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Progress } from '../../src/protocol/rpc.ts';
import type { VerbResult } from '../../src/protocol/verbs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';

/** Taking things out of images: whatever an image holds, nothing lands outside the destination. */
describe('download', () => {
  let engine: TestEngine;
  let image: string;
  let out: string;

  before(async () => {
    engine = await startEngine();
    const made = await engine.keep(
      [
        'mkdir -p /app/dist/deep/er /app/dist/empty /app/many && cd /app/dist',
        'echo tool > tool && chmod 755 tool && echo secret > private && chmod 600 private',
        'echo b > deep/er/b && chmod 750 deep && touch -d "2020-02-02 02:02:02" tool deep/er',
        'ln -s ../tool deep/tool && ln -s er/b deep/b',
        'ln -s /etc/passwd absolute && ln -s ../../../etc/passwd above && ln -s deep/../../.. around',
        'ln tool second && mkfifo pipe',
        'printf "\\303\\273 \\377" | { read -r name; echo bytes > "$name"; }',
        'cd /app/many && i=0 && while [ $i -lt 2000 ]; do echo $i > f$i; i=$((i+1)); done',
        'head -c 3000000 /dev/urandom > /app/big.bin && sha256sum /app/big.bin > /app/sum',
      ].join(' && '),
      { image: await engine.busybox() },
    );
    image = made.result_image;
  });
  after(async () => engine?.[Symbol.asyncDispose]());

  const fresh = (): string => fs.mkdtempSync(engine.folder.join('d-'));
  const get = (from: string, destination: string, more: object = {}): Promise<VerbResult<'download'>> =>
    engine.client.call('download', { image, path: from, destination, ...more });
  /** Every name below, a character a byte. */
  const tree = (below: string): string[] =>
    execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P\\0'], { cwd: below, encoding: 'latin1' })
      .split('\0')
      .slice(0, -1)
      .sort();

  test('a folder: content, modes, times, links; what cannot come is listed', async () => {
    out = path.join(fresh(), 'new', 'dist');
    const result = await get('/app/dist', out);
    assert.deepEqual(tree(out), [
      'deep',
      'deep/b',
      'deep/er',
      'deep/er/b',
      'deep/tool',
      'empty',
      'private',
      'second',
      'tool',
      '\xc3\xbb \xff',
    ]);
    assert.deepEqual([...result.skipped].sort(), [
      '/app/dist/above',
      '/app/dist/absolute',
      '/app/dist/around',
      '/app/dist/pipe',
    ]);
    assert.deepEqual([result.destination, result.files, result.executable], [out, 5, false]);
    const mode = (name: string) => fs.statSync(path.join(out, name)).mode & 0o7777;
    assert.deepEqual(['tool', 'private', 'deep'].map(mode), [0o755, 0o600, 0o750]);
    assert.equal(fs.statSync(path.join(out, 'tool')).mtime.toISOString(), '2020-02-02T02:02:02.000Z');
    assert.equal(fs.statSync(path.join(out, 'deep/er')).mtime.toISOString(), '2020-02-02T02:02:02.000Z');
    assert.equal(fs.readFileSync(path.join(out, 'deep/tool'), 'utf8'), 'tool\n');
    assert.equal(fs.readlinkSync(path.join(out, 'deep/b')), 'er/b');
    assert.equal(fs.statSync(path.join(out, 'tool')).uid, process.getuid!());
  });

  test('again onto itself: the same; without overwrite it is refused', async () => {
    const before = tree(out);
    await assert.rejects(get('/app/dist', out, { overwrite: false }), { code: 'already_exists' });
    await get('/app/dist', out);
    assert.deepEqual(tree(out), before);
  });

  test('a file: to a name, into a folder, executable, large', async () => {
    const folder = fresh();
    assert.equal((await get('/app/dist/tool', folder)).destination, path.join(folder, 'tool'));
    const named = await get('/app/dist/private', path.join(folder, 'a/b'), { executable: true });
    assert.deepEqual([named.files, named.size, named.executable], [1, 7, true]);
    assert.equal(fs.statSync(path.join(folder, 'a/b')).mode & 0o777, 0o700);
    const progress: Progress[] = [];
    await engine.client.call(
      'download',
      { image, path: '/app/big.bin', destination: path.join(folder, 'big') },
      { onProgress: update => progress.push(update) },
    );
    assert.equal(fs.statSync(path.join(folder, 'big')).size, 3_000_000);
    for (const { done, total } of progress) assert.ok(done! <= total! && total === 3_000_000);
    const sum = await engine.run('sha256sum -c /app/sum', { image });
    assert.equal(sum.status, 'SUCCESS');
  });

  test('a link stands for what it leads to inside the image', async () => {
    const folder = fresh();
    assert.equal((await get('/app/dist/deep/tool', folder)).destination, path.join(folder, 'tool'));
    await get('/app/dist/above', path.join(folder, 'passwd'));
    assert.match(fs.readFileSync(path.join(folder, 'passwd'), 'utf8'), /^root:x:0:0:root:\/root:\/bin\/sh\nnobody/);
  });

  test('a glob: below the plain start of the pattern', async () => {
    const folder = fresh();
    const result = await get('/app/many/f1?', folder);
    assert.equal(result.files, 10);
    assert.deepEqual(tree(folder), ['f10', 'f11', 'f12', 'f13', 'f14', 'f15', 'f16', 'f17', 'f18', 'f19']);
    const deep = fresh();
    await get('/app/**/b', deep);
    assert.deepEqual(tree(deep), ['dist', 'dist/deep', 'dist/deep/b', 'dist/deep/er', 'dist/deep/er/b']);
    await assert.rejects(get('/app/*.none', folder), { code: 'path_not_found', field: 'path' });
  });

  test('many files', async () => {
    const folder = path.join(fresh(), 'many');
    const result = await get('/app/many', folder);
    assert.equal(result.files, 2000);
    assert.equal(fs.readdirSync(folder).length, 2000);
    assert.equal(fs.readFileSync(path.join(folder, 'f1234'), 'utf8'), '1234\n');
  });

  test('refused: the engine’s own folder, a device, relative paths, what is not there', async () => {
    const folder = fresh();
    await assert.rejects(get('/app/dist', path.join(engine.home, 'x')), {
      code: 'invalid_input',
      field: 'destination',
    });
    await assert.rejects(get('/app/dist/tool', '/dev/null'), { code: 'not_a_file' });
    await assert.rejects(get('/app/dist/pipe', folder), { code: 'not_a_file' });
    await assert.rejects(get('/app/dist', 'out'), { code: 'invalid_input', field: 'destination' });
    await assert.rejects(get('app/dist', folder), { code: 'invalid_input', field: 'path' });
    await assert.rejects(get('/app/none', folder), { code: 'path_not_found' });
    await assert.rejects(get('/app/dist/tool/x', folder), { code: 'not_a_directory' });
    await assert.rejects(get('/app/dist', '/proc/coppice'), { code: 'invalid_input', field: 'destination' });
    assert.deepEqual(tree(folder), []);
  });

  test('cancelled: nothing stays, and the engine goes on', async () => {
    const folder = fresh();
    const made = await engine.keep('head -c 300000000 /dev/zero > /huge', { image });
    const abort = new AbortController();
    const going = engine.client.call(
      'download',
      { image: made.result_image, path: '/huge', destination: path.join(folder, 'new/huge') },
      { signal: abort.signal, onProgress: () => abort.abort() },
    );
    await assert.rejects(going);
    // The call is given up at once; what it made goes as soon as its engine has heard of it.
    for (let tries = 0; tries < 200 && tree(folder).length > 0; tries++)
      await new Promise(done => setTimeout(done, 20));
    assert.deepEqual(tree(folder), []);
    await get('/app/dist/tool', folder);
  });
});

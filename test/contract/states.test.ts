import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CoppiceError } from '../../src/protocol/errors.ts';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { without } from '../harness/testRuntime.ts';

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
const sync = (more: Partial<VerbInput<'rsync'>> = {}) =>
  engine.client.call('rsync', { source, destination: '/app', ...more });
const state = async (more: Partial<VerbInput<'rsync'>> = {}) => (await sync(more)).directory_state_id;
async function run(command: string, more: Partial<VerbInput<'run'>> = {}): Promise<OperationResult> {
  const result = await engine.run(command, { image, cwd: '/app', ...more });
  assert.equal(result.status, 'SUCCESS', `${command}: ${result.stderr}${result.error?.message ?? ''}`);
  return result;
}
const keep = async (command: string, more: Partial<VerbInput<'run'>> = {}) =>
  (await run(command, { ...more, disposable: false })).result_image!;
const names = async (more: Partial<VerbInput<'run'>>) => (await run('find . | sort', more)).stdout.trim().split('\n');

describe('what a run sees', () => {
  test('the tree as it is: content, modes, links, empty folders, odd names', async () => {
    write('a b', 'spaces');
    write('new\nline', 'n');
    write('ü', 'unicode');
    write('sub/run.sh', 'echo run', 0o755);
    mkdirSync(path.join(source, 'empty'), { mode: 0o700 });
    symlinkSync('../outside', path.join(source, 'link'));
    chmodSync(path.join(source, 'sub'), 0o751);
    const id = await state();
    const script = 'for f in * sub/*; do stat -c "%a %F" "$f"; done; cat "a b" ü; readlink link; sh sub/run.sh';
    const seen = await run(script, { directory_state_id: id });
    const own = execFileSync('/bin/sh', ['-c', script], { cwd: source, encoding: 'utf8' });
    assert.equal(seen.stdout, own);
    assert.equal(seen.filesystem_changed, false);
  });

  test('times are carried, and the first sync’s stand', async () => {
    write('f', 'x');
    execFileSync('touch', ['-d', '2020-02-02T02:02:02Z', path.join(source, 'f')]);
    const first = await state();
    assert.match((await run('stat -c %Y f', { directory_state_id: first })).stdout, /^1580608922$/m);
    execFileSync('touch', ['-d', '2021-01-01T00:00:00Z', path.join(source, 'f')]);
    assert.equal(await state(), first);
    assert.match((await run('stat -c %Y f', { directory_state_id: first })).stdout, /^1580608922$/m);
  });

  test('files of the image under the destination stay visible', async () => {
    const base = await keep('mkdir -p /app/sub; echo image > /app/own; echo image > /app/sub/both', { cwd: '/' });
    write('sub/both', 'state');
    write('mine', 'state');
    const seen = await run('cat own sub/both mine', { image: base, directory_state_id: await state() });
    assert.equal(seen.stdout, 'image\nstatestate');
  });

  test('what an earlier state brought and the new one lacks is gone, what a run made stays', async () => {
    write('old/file', '1');
    write('stays', '1');
    const kept = await keep('echo made > old/made; echo made > made', { directory_state_id: await state() });
    rmSync(path.join(source, 'old'), { recursive: true });
    write('fresh', '2');
    const id = await state();
    assert.deepEqual(await names({ image: kept, directory_state_id: id }), [
      '.',
      './fresh',
      './made',
      './old',
      './old/made',
      './stays',
    ]);
    const again = await keep('echo more > more', { image: kept, directory_state_id: id });
    assert.deepEqual(await names({ image: again }), [
      '.',
      './fresh',
      './made',
      './more',
      './old',
      './old/made',
      './stays',
    ]);
  });

  test('a file becomes a folder and the other way round', async () => {
    write('x', 'file');
    write('y/z', 'folder');
    const kept = await keep('touch t', { directory_state_id: await state() });
    rmSync(path.join(source, 'x'));
    rmSync(path.join(source, 'y'), { recursive: true });
    write('x/z', 'folder');
    write('y', 'file');
    assert.deepEqual(await names({ image: kept, directory_state_id: await state() }), [
      '.',
      './t',
      './x',
      './x/z',
      './y',
    ]);
  });

  test('a kept image holds the state, the diff only what the run wrote', async () => {
    write('input', 'in');
    const kept = await keep('cat input > output', { directory_state_id: await state() });
    assert.equal((await run('cat input output', { image: kept })).stdout, 'inin');
    const { entries } = await engine.client.call('diff', { image: kept });
    assert.deepEqual(
      entries.map(entry => `${entry.change} ${entry.path}`),
      ['A /app/output'],
    );
  });

  test('the text before a run is what the run found: its state, its files, and a step before it', async () => {
    write('edited', 'one\ntwo\n');
    write('deep/er/gone', 'gone\n');
    symlinkSync('edited', path.join(source, 'link'));
    const { uuid } = await engine.client.call('upload', { content: 'uploaded\n' });
    const child = await keep('sed -i s/two/2/ edited; rm deep/er/gone; ln -sf x link; echo more >> single', {
      directory_state_id: await state(),
      files: { '/app/single': uuid },
    });
    const { entries, against } = await engine.client.call('diff', { image: child, text: true });
    const text = (file: string) => entries.find(entry => entry.path === file)?.text ?? '';
    assert.match(text('/app/edited'), /^-two\n\+2$/m);
    assert.match(text('/app/deep/er/gone'), /^-gone$/m);
    assert.match(text('/app/single'), /^ uploaded\n\+more$/m);
    const read = (file: string, found_by?: string) =>
      engine.client.call('read_file', { image: against!, path: file, ...(found_by === undefined ? {} : { found_by }) });
    assert.equal((await read('/app/edited', child)).content, 'one\ntwo\n');
    await assert.rejects(read('/app/edited'), { code: 'path_not_found' }, 'the parent alone does not have it');
    assert.equal((await read('/etc/passwd', child)).size, (await read('/etc/passwd')).size);
    const link = await engine.client.call('stat_file', { image: against!, path: '/app/link', found_by: child });
    assert.deepEqual([link.entry.link, link.target?.size], ['edited', 8]);

    const steps = await engine.client.call('run', {
      image,
      cwd: '/app',
      steps: ['echo first > edited', 'echo second > edited'],
      directory_state_id: await state(),
    });
    assert.ok('result_image' in steps && steps.result_image !== null, JSON.stringify(steps));
    const second = await engine.client.call('diff', { image: steps.result_image, text: true });
    assert.match(second.entries.find(entry => entry.path === '/app/edited')?.text ?? '', /^-first\n\+second$/m);
  });

  test('thrown away: the change is told, the image is the one before, the source untouched', async () => {
    write('f', 'before');
    const id = await state();
    const result = await run('echo after > f; rm -rf /app/sub', { directory_state_id: id });
    assert.deepEqual([result.filesystem_changed, result.result_image], [true, image]);
    assert.equal((await run('cat f', { directory_state_id: id })).stdout, 'before');
    assert.equal(readFileSync(path.join(source, 'f'), 'utf8'), 'before');
  });

  test('files given to a run win over the state', async () => {
    write('f', 'state');
    const { uuid } = await engine.client.call('upload', { content: 'uploaded' });
    assert.equal(
      (await run('cat f', { directory_state_id: await state(), files: { '/app/f': uuid } })).stdout,
      'uploaded',
    );
  });

  test('a user other than root can be given the files', async () => {
    write('f', 'x', 0o600);
    write('g/h', 'x', 0o600);
    const mine = await state({ owner: '1000:1000' });
    const roots = await state();
    assert.notEqual(mine, roots);
    assert.equal(
      (await run('cat f g/h; stat -c %u:%g . f g', { directory_state_id: mine, user: '1000:1000' })).stdout,
      'xx1000:1000\n1000:1000\n1000:1000\n',
    );
    assert.match((await run('stat -c %u:%g f', { directory_state_id: roots })).stdout, /^0:0$/m);
  });

  test('steps build on one another, over one state', async () => {
    write('f', '1');
    const result = await engine.client.call('run', {
      image,
      steps: ['cd /app && echo 2 >> f', 'cd /app && echo 3 >> f'],
      directory_state_id: await state(),
      network: 'none',
    });
    const last = (result as OperationResult).result_image!;
    assert.equal((await run('cat f', { image: last })).stdout, '12\n3\n');
  });

  test('eight runs at once lay a new state out once and see the same', async () => {
    for (let count = 0; count < 200; count++) write(`d${count % 10}/f${count}`, String(count));
    const id = await state();
    const seen = await Promise.all(
      Array.from({ length: 8 }, () => run('find . -type f | sort | xargs cat | md5sum', { directory_state_id: id })),
    );
    assert.equal(new Set(seen.map(result => result.stdout)).size, 1);
  });
});

test('make after sync, edit and revert rebuilds exactly what changed', { skip: without('host:') }, async () => {
  const host = (await engine.client.call('import_image', { registry_url: 'host:' })).image!;
  write('Makefile', 'all: a.o b.o\n%.o: %.c\n\tcp $< $@\n');
  write('a.c', 'a1');
  write('b.c', 'b1');
  const make = (from: string, id: string) => run('make', { image: from, directory_state_id: id, disposable: false });
  const first = await make(host, await state());
  assert.equal(first.stdout, 'cp a.c a.o\ncp b.c b.o\n');
  assert.match((await make(first.result_image!, await state())).stdout, /Nothing to be done/);
  await sleep(20);
  write('a.c', 'a2');
  const second = await make(first.result_image!, await state());
  assert.equal(second.stdout, 'cp a.c a.o\n');
  await sleep(20);
  write('a.c', 'a1');
  const reverted = await make(second.result_image!, await state());
  assert.equal(reverted.stdout, 'cp a.c a.o\n');
  assert.equal((await run('cat a.o', { image: reverted.result_image! })).stdout, 'a1');
});

describe('apply', () => {
  test('changes come home; both sides changed is a conflict and left alone', async () => {
    write('edited', '1');
    write('both', '1');
    write('deleted', '1');
    write('ours', '1');
    write('.gitignore', 'junk\n');
    const kept = await keep(
      'echo 2 > edited; echo 2 > both; rm deleted; mkdir -p new/deep; printf "\\000\\001" > new/deep/bin; chmod 755 edited; ln -s edited link; echo x > junk',
      { directory_state_id: await state() },
    );
    write('both', 'ours');
    write('ours', 'ours');
    const dry = await engine.client.call('apply', { image: kept, dry_run: true });
    assert.equal(readFileSync(path.join(source, 'edited'), 'utf8'), '1');
    const applied = await engine.client.call('apply', { image: kept });
    assert.deepEqual({ ...applied, dry_run: true }, dry);
    assert.deepEqual(
      applied.applied.filter(change => change.type !== 'directory').map(change => `${change.change} ${change.path}`),
      ['D deleted', 'M edited', 'A link', 'A new/deep/bin'],
    );
    assert.deepEqual(
      applied.conflicts.map(conflict => conflict.path),
      ['both'],
    );
    assert.equal(applied.left_out, 1);
    assert.deepEqual(
      [
        readFileSync(path.join(source, 'edited'), 'utf8'),
        readFileSync(path.join(source, 'both'), 'utf8'),
        readFileSync(path.join(source, 'ours'), 'utf8'),
        readlinkSync(path.join(source, 'link')),
      ],
      ['2\n', 'ours', 'ours', 'edited'],
    );
    assert.deepEqual(readFileSync(path.join(source, 'new/deep/bin')), Buffer.from([0, 1]));
    assert.equal(statSync(path.join(source, 'edited')).mode & 0o777, 0o755);
    assert.deepEqual(readdirSync(source).sort(), ['.gitignore', 'both', 'edited', 'link', 'new', 'ours']);
    const again = await engine.client.call('apply', { image: kept });
    assert.deepEqual([again.applied.filter(change => change.type !== 'directory'), again.conflicts.length], [[], 1]);
  });

  test('only the paths asked for, to a folder asked for', async () => {
    write('a/x', '1');
    write('b/x', '1');
    const kept = await keep('echo 2 > a/x; echo 2 > b/x', { directory_state_id: await state() });
    const applied = await engine.client.call('apply', { image: kept, paths: ['b'] });
    assert.deepEqual(
      applied.applied.map(change => change.path),
      ['b/x'],
    );
    assert.equal(readFileSync(path.join(source, 'a/x'), 'utf8'), '1');
  });

  test('a link in the workspace never leads a write outside', async () => {
    write('dir/f', '1');
    const kept = await keep('echo evil > dir/f; echo evil > dir/g', { directory_state_id: await state() });
    const outside = path.join(folder.path, 'outside');
    mkdirSync(outside);
    rmSync(path.join(source, 'dir'), { recursive: true });
    symlinkSync(outside, path.join(source, 'dir'));
    await engine.client.call('apply', { image: kept }).catch(() => undefined);
    assert.deepEqual(readdirSync(outside), []);
  });
});

describe('bad input', () => {
  const refused = async (input: Partial<VerbInput<'rsync'>>, code: string, field: string) =>
    assert.rejects(sync(input), (error: CoppiceError) => {
      assert.deepEqual([error.code, error.field], [code, field]);
      return true;
    });

  test('each is a typed error that names the field', async () => {
    await refused({ source: 'relative' }, 'invalid_input', 'source');
    await refused({ source: path.join(source, 'missing') }, 'path_not_found', 'source');
    await refused({ source: '/dev/null' }, 'not_a_directory', 'source');
    await refused({ destination: 'app' }, 'invalid_input', 'destination');
    await refused({ destination: '/' }, 'invalid_input', 'destination');
    await refused({ destination: '/app/../etc' }, 'invalid_input', 'destination');
    await refused({ exclude: [''] }, 'invalid_input', 'exclude.0');
    await refused({ source: engine.home }, 'invalid_input', 'source');
    await refused({ changed: ['../up'] }, 'invalid_input', 'changed');
    await assert.rejects(engine.run('true', { image, directory_state_id: 'ds-0123456789' }), {
      code: 'state_not_found',
    });
    await assert.rejects(engine.client.call('apply', { image }), { code: 'invalid_input' });
  });

  test('a file as source is a folder with that file', async () => {
    write('only', 'one');
    const id = await state({ source: path.join(source, 'only') });
    assert.deepEqual(await names({ directory_state_id: id }), ['.', './only']);
  });

  test('a renamed source is another source, the same content the same id', async () => {
    write('f', 'x');
    const first = await state();
    renameSync(source, `${source}2`);
    assert.equal(await state({ source: `${source}2` }), first);
  });
});

test('folders above the destination stay as the image has them', async () => {
  write('f', 'x');
  const base = await keep(
    'chown 0:0 /tmp /root; chmod 1777 /tmp; chmod 750 /home; chown 12:34 /home; ln -s /tmp /away; chmod 700 /root',
    {
      cwd: '/',
    },
  );
  for (const [destination, folder, is] of [
    ['/tmp/p', '/tmp', '1777 0 0'],
    ['/home/u/p', '/home', '750 12 34'],
    ['/root/p', '/root', '700 0 0'],
  ] as const) {
    const id = await state({ destination });
    const kept = await keep(`stat -c '%a %u %g' ${folder}; cat ${destination}/f; touch made`, {
      image: base,
      cwd: destination,
      directory_state_id: id,
    });
    assert.equal(
      (await run(`stat -c '%a %u %g' ${folder}; ls ${destination}`, { image: kept, cwd: '/' })).stdout,
      `${is}\nf\nmade\n`,
    );
  }
  const refused = await engine.run('true', {
    image: base,
    directory_state_id: await state({ destination: '/away/p' }),
  });
  assert.equal(refused.error?.code, 'not_a_directory');
});

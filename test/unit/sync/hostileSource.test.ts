import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { after, before, mock, test } from 'node:test';
import type { SyncThread } from '../../../src/engine/sync/syncThread.ts';
import { layOut, SyncStores, sync } from './syncStores.ts';

let stores: SyncStores;
before(() => {
  stores = new SyncStores();
});
after(() => stores.close());

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');
const pause = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

function folder(name: string): string {
  const made = path.join(stores.base, name);
  mkdirSync(made, { recursive: true });
  return made;
}

/** Another process that does something over and over while `work` goes on here. */
async function against(script: string, args: readonly string[], work: () => void): Promise<void> {
  const child = spawn(process.execPath, ['-e', script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    work();
    assert.equal(child.exitCode, null, 'the other process goes on all the time');
  } finally {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

/** The content of a state's files by name, from what is laid out of it. */
function contentOf(thread: SyncThread, source: string, file: string): string {
  const out = folder(`out-${Math.random()}`);
  layOut(thread, sync(thread, source), out);
  return readFileSync(path.join(out, file), 'utf8');
}

test('a file that is written all the time: a state holds one of its versions, whole', async () => {
  const source = folder('written');
  const thread = stores.open('written-store');
  const script = `
    const fs = require('node:fs');
    const [file, how] = process.argv.slice(1);
    const size = 200_000;
    fs.writeFileSync(file, 'a'.repeat(size));
    console.log('ready');
    for (let turn = 0; ; turn++) {
      const letter = String.fromCharCode(97 + (turn % 26));
      if (how === 'replace') { fs.writeFileSync(file + '.new', letter.repeat(size)); fs.renameSync(file + '.new', file); }
      else if (how === 'write') { const fd = fs.openSync(file, 'r+'); fs.writeSync(fd, letter.repeat(size), 0); fs.closeSync(fd); }
      else { fs.appendFileSync(file, letter.repeat(100)); if (turn % 200 === 0) fs.writeFileSync(file, ''); }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, turn % 7);
    }`;
  for (const how of ['replace', 'write', 'append']) {
    const file = path.join(source, 'f');
    await against(script, [file, how], () => {
      for (let count = 0; count < 40; count++) {
        let content: string;
        try {
          content = contentOf(thread, source, 'f');
        } catch (error) {
          // Refusing is allowed, half a version is not.
          assert.equal((error as { code?: string }).code, 'conflict');
          continue;
        }
        if (how === 'append') assert.match(content, /^(?:(.)\1{99})*$/);
        else assert.equal(new Set(content).size, 1, `${how}: ${content.length} characters of two versions`);
      }
    });
    rmSync(source, { recursive: true });
    mkdirSync(source);
  }
});

test('folders that come and go while they are walked are no error', async () => {
  const source = folder('vanishing');
  const thread = stores.open('vanishing-store');
  const script = `
    const fs = require('node:fs');
    const root = process.argv[1];
    console.log('ready');
    for (;;) {
      for (let n = 0; n < 20; n++) { fs.mkdirSync(root + '/d' + n + '/e', { recursive: true }); fs.writeFileSync(root + '/d' + n + '/e/f', 'x'); }
      for (let n = 0; n < 20; n++) fs.rmSync(root + '/d' + n, { recursive: true });
    }`;
  await against(script, [source], () => {
    for (let count = 0; count < 200; count++) sync(thread, source, count % 2 === 0 ? undefined : ['d3/e/f', 'd7']);
  });
  rmSync(source, { recursive: true });
  mkdirSync(source);
  assert.equal(sync(thread, source).files, 0);
});

test('a folder that is swapped for a link is never followed out of the source', async () => {
  const source = folder('swapped');
  const outside = folder('outside');
  writeFileSync(path.join(outside, 'f'), 'secret of somebody else');
  writeFileSync(path.join(outside, '.gitignore'), 'nothing');
  mkdirSync(path.join(source, 'd'));
  writeFileSync(path.join(source, 'd', 'f'), 'mine');
  const thread = stores.open('swapped-store');
  const script = `
    const fs = require('node:fs');
    const [d, outside] = process.argv.slice(1);
    fs.symlinkSync(outside, d + '-link');
    console.log('ready');
    for (;;) { fs.renameSync(d, d + '-real'); fs.renameSync(d + '-link', d); fs.renameSync(d, d + '-link'); fs.renameSync(d + '-real', d); }`;
  await against(script, [path.join(source, 'd'), outside], () => {
    for (let count = 0; count < 1500; count++) sync(thread, source, count % 2 === 0 ? undefined : ['d/f']);
  });
  const secret = sha256('secret of somebody else');
  assert.ok(!existsSync(path.join(stores.home('swapped-store'), 'blobs', secret.slice(0, 2), secret)));
});

test('a pipe in a file’s place is not waited for', async () => {
  const source = folder('pipes');
  const thread = stores.open('pipes-store');
  execFileSync('mkfifo', [path.join(source, 'pipe'), path.join(source, '.gitignore')]);
  const script = `
    const fs = require('node:fs');
    const root = process.argv[1];
    console.log('ready');
    for (;;) { fs.writeFileSync(root + '/x', 'x'); fs.renameSync(root + '/pipe', root + '/y'); fs.renameSync(root + '/x', root + '/pipe'); fs.renameSync(root + '/y', root + '/pipe'); }`;
  await against(script, [source], () => {
    for (let count = 0; count < 300; count++) sync(thread, source);
  });
  assert.ok(sync(thread, source).skipped >= 1);
});

test('a path of 4,000 bytes is synced and laid out', () => {
  const source = folder('deep');
  // Longer than any path that the system takes as a whole, so a shell makes it step by step.
  const name = 'n'.repeat(100);
  const script = `i=0; while [ $i -lt 45 ]; do mkdir "$1"; cd "$1"; echo "at $i" > file; i=$((i+1)); done; pwd -P | wc -c`;
  execFileSync('/bin/bash', ['-c', script, 'sh', name], { cwd: source });
  const thread = stores.open('deep-store');
  const first = sync(thread, source);
  assert.equal(first.files, 45);
  thread.save();
  assert.equal(sync(stores.open('deep-store'), source).id, first.id);
  const out = folder('deep-out');
  layOut(thread, first, out);
  const count = (at: string) =>
    execFileSync('/bin/sh', ['-c', 'find . -type f | wc -l'], { cwd: at, encoding: 'utf8' });
  assert.equal(count(out).trim(), '45');
  const again = folder('deep-again');
  layOut(thread, first, again, { folder: out, object: first.object });
  assert.equal(count(again).trim(), '45');
  const changed = Array.from({ length: 36 }, () => name).join('/');
  assert.equal(sync(thread, source, [`${changed}/file`]).id, first.id);
  for (const made of [source, out, again]) execFileSync('rm', ['-rf', made]);
});

test('a thousand folders in one another, and no more', () => {
  const source = folder('nested');
  const thread = stores.open('nested-store');
  const deepen = (by: number) =>
    execFileSync('perl', ['-e', `chdir "d" while -d "d"; for (1..${by}) { mkdir "d"; chdir "d" } open F, ">f"`], {
      cwd: source,
    });
  try {
    deepen(900);
    assert.equal(sync(thread, source).files, 1);
    thread.save();
    deepen(200);
    assert.throws(() => sync(thread, source), { code: 'invalid_input', field: 'source' });
  } finally {
    execFileSync('rm', ['-rf', source]);
  }
});

test('a clock that went back makes every time in the cache doubtful', () => {
  const source = folder('clock');
  const file = path.join(source, 'f');
  writeFileSync(file, 'one');
  utimesSync(file, 1_000_000, 1_000_000);
  pause(80);
  const thread = stores.open('clock-store');
  const first = sync(thread, source);
  // What a write leaves that comes while the clock shows the same time once more.
  const same = statSync(file);
  const real = Date.now();
  mock.method(Date, 'now', () => real - 3_600_000);
  try {
    rmSync(file);
    writeFileSync(file, 'two');
    utimesSync(file, same.atime, same.mtime);
    assert.notEqual(sync(thread, source, []).id, first.id, 'everything is looked at, whatever the watcher says');
  } finally {
    mock.restoreAll();
  }
});

test('the store is left out of a source that has it inside', () => {
  const source = folder('around');
  writeFileSync(path.join(source, 'f'), 'x');
  const thread = stores.open('around/home/store');
  const first = sync(thread, source);
  assert.equal(first.files, 1);
  assert.equal(sync(thread, source).id, first.id);
});

test('names that begin with two points, hard links, links with long targets', () => {
  const source = folder('names');
  writeFileSync(path.join(source, '..f'), 'x');
  linkSync(path.join(source, '..f'), path.join(source, 'hard'));
  symlinkSync('t/'.repeat(2000), path.join(source, 'long'));
  symlinkSync(' a  b ', path.join(source, 'spaces'));
  const thread = stores.open('names-store');
  const outcome = sync(thread, source);
  assert.equal(outcome.files, 4);
  const out = folder('names-out');
  layOut(thread, outcome, out);
  const targets = 'readlink long spaces | md5sum; ls -A';
  const shown = (cwd: string) => execFileSync('/bin/sh', ['-c', targets], { cwd, encoding: 'utf8' });
  assert.equal(shown(out), shown(source));
});

test('a tree that is laid out never changes another, whatever modes and times they want of the same content', () => {
  const source = folder('modes');
  const thread = stores.open('modes-store');
  const file = path.join(source, 'f');
  const seen: { readonly fd: number; readonly mode: number; readonly mtime: number }[] = [];
  for (const [turn, mode] of [0o644, 0o755, 0o600, 0o4755, 0o644].entries()) {
    rmSync(file, { force: true });
    writeFileSync(file, 'same', { mode });
    execFileSync('chmod', [mode.toString(8), file]);
    utimesSync(file, 1000 + turn, 1000 + turn);
    const out = folder(`modes-out-${turn}`);
    layOut(thread, sync(thread, source), out);
    const fd = openSync(path.join(out, 'f'), 'r');
    seen.push({ fd, mode, mtime: (1000 + turn) * 1000 });
    for (const one of seen) {
      const stats = fstatSync(one.fd);
      assert.deepEqual([stats.mode & 0o7777, stats.mtimeMs], [one.mode, one.mtime]);
    }
  }
  for (const { fd } of seen) closeSync(fd);
});

test('what a crash left of a collection is never vouched for', () => {
  const source = folder('crashed');
  writeFileSync(path.join(source, 'f'), 'content');
  pause(80);
  const thread = stores.open('crashed-store');
  const { object } = sync(thread, source);
  // Synced, and not written down yet: it stays.
  thread.collect(Date.now(), Date.now() + 60_000);
  const out = folder('crashed-out');
  const outcome = sync(thread, source);
  assert.equal(outcome.object, object);
  layOut(thread, outcome, out);
  // Later nobody wrote it down: everything goes, caches too.
  assert.equal(thread.collect(Date.now(), Date.now() + 3 * 3_600_000).blobs, 1);
  const again = sync(thread, source);
  layOut(thread, again, folder('crashed-again'));
  assert.equal(readFileSync(path.join(stores.base, 'crashed-again', 'f'), 'utf8'), 'content');
});

test('a folder that is renamed over is synced as it is then', () => {
  const source = folder('renamed');
  mkdirSync(path.join(source, 'a'));
  writeFileSync(path.join(source, 'a', 'f'), '1');
  mkdirSync(path.join(source, 'b'));
  writeFileSync(path.join(source, 'b', 'f'), '2');
  const thread = stores.open('renamed-store');
  sync(thread, source);
  rmSync(path.join(source, 'a'), { recursive: true });
  renameSync(path.join(source, 'b'), path.join(source, 'a'));
  const changed = sync(thread, source, ['a', 'b']);
  assert.equal(changed.id, sync(stores.open('renamed-scratch'), source).id);
});

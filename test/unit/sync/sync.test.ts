import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Database } from '../../../src/engine/store/database.ts';
import { StateStore } from '../../../src/engine/sync/stateStore.ts';
import type { SyncOutcome } from '../../../src/engine/sync/syncThread.ts';
import { picture, RandomTree, random } from '../../harness/randomTree.ts';
import { layOut, SyncStores, sync } from './syncStores.ts';

let base: string;
let stores: SyncStores;
before(() => {
  stores = new SyncStores();
  base = stores.base;
});
after(() => {
  stores.close();
});

test('random trees and edits: incremental id = id from scratch, laid-out tree = source', () => {
  const seed = Number(process.env.COPPICE_SEED ?? Date.now() % 1_000_000);
  const rounds = Number(process.env.COPPICE_ROUNDS ?? 40);
  console.log(`seed ${seed}`);
  const next = random(seed);
  for (let round = 0; round < rounds; round++) {
    const source = path.join(base, `source-${round}`);
    const tree = new RandomTree(source, next);
    const thread = stores.open(`store-${round}`);
    const scratch = stores.open(`scratch-${round}`);
    for (let count = 0; count < 12; count++) tree.edit();
    sync(thread, source);
    let earlier: { folder: string; object: string } | undefined;
    const identities = new Map<string, string>();
    for (let step = 0; step < 8; step++) {
      const changed: Buffer[] = [];
      for (let count = 0; count < 1 + next() * 3; count++) changed.push(...tree.edit());
      // Watchers tell names as text; what is no text cannot be told, and then everything is looked at.
      const tellable = changed.every(file => Buffer.from(file.toString('utf8')).equals(file));
      const paths = tellable ? changed.map(file => path.relative(source, file.toString('utf8'))) : undefined;
      const incremental = sync(thread, source, paths);
      const whole = sync(scratch, source);
      assert.equal(incremental.id, whole.id, `round ${round} step ${step}`);
      const folder = path.join(base, `out-${round}`, String(step));
      layOut(thread, incremental, folder, earlier);
      assert.deepEqual(picture(folder), picture(source), `round ${round} step ${step}`);
      const content = picture(source)
        .map(line => line.replace(/^(f .* \d+) [\d.]+ /s, '$1 '))
        .join('\0');
      const seen = identities.get(content);
      if (seen) assert.equal(incremental.id, seen, 'the same content has the same id');
      assert.ok(
        ![...identities].some(([other, id]) => id === incremental.id && other !== content),
        'different content has different ids',
      );
      identities.set(content, incremental.id);
      earlier = { folder, object: incremental.object };
    }
    rmSync(path.join(base, `out-${round}`), { recursive: true });
  }
});

test('a change within the grain of the clock is seen, even with the same size and times', () => {
  const source = path.join(base, 'racy');
  mkdirSync(source);
  const thread = stores.open('racy-store');
  const file = path.join(source, 'f');
  const ids = new Set<string>();
  for (let count = 0; count < 50; count++) {
    writeFileSync(file, `version ${String(count).padStart(3, '0')}`);
    utimesSync(file, 1_000_000, 1_000_000);
    ids.add(sync(thread, source, ['f']).id);
  }
  assert.equal(ids.size, 50);
});

test('nothing changed: the same id, nothing read, nothing written', () => {
  const source = path.join(base, 'same');
  mkdirSync(path.join(source, 'deep/er'), { recursive: true });
  writeFileSync(path.join(source, 'deep/er/f'), 'x');
  const thread = stores.open('same-store');
  const first = sync(thread, source);
  const second = sync(thread, source);
  assert.equal(second.id, first.id);
  assert.deepEqual(
    {
      added: second.added,
      modified: second.modified,
      deleted: second.deleted,
      written: second.written,
      unchanged: second.unchanged,
    },
    { added: 0, modified: 0, deleted: 0, written: 0, unchanged: true },
  );
  assert.notEqual(sync(thread, source, undefined, { destination: '/other' }).id, first.id);
  assert.notEqual(sync(thread, source, undefined, { owner: '1000:1000' }).id, first.id);
});

test('an engine that comes later reads only what changed meanwhile', () => {
  const source = path.join(base, 'later');
  mkdirSync(source);
  for (let count = 0; count < 20; count++) {
    writeFileSync(path.join(source, `f${count}`), `content ${count}`);
    utimesSync(path.join(source, `f${count}`), 1_000_000, 1_000_000);
  }
  // Out of the clock's grain, so that the cache may vouch for what it saw.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 80);
  const first = stores.open('later-store');
  const { id } = sync(first, source);
  first.save();
  const second = stores.open('later-store');
  assert.deepEqual([sync(second, source).id, sync(second, source).unchanged], [id, true]);
  writeFileSync(path.join(source, 'f3'), 'something else');
  const changed = sync(stores.open('later-store'), source);
  assert.deepEqual([changed.added, changed.modified, changed.deleted, changed.written], [0, 1, 0, 14]);
});

test('rules that change bring files in and take them out', () => {
  const source = path.join(base, 'rules');
  mkdirSync(path.join(source, 'logs'), { recursive: true });
  writeFileSync(path.join(source, 'logs/a.log'), 'x');
  writeFileSync(path.join(source, 'f'), 'x');
  const thread = stores.open('rules-store');
  assert.equal(sync(thread, source).files, 2);
  writeFileSync(path.join(source, '.gitignore'), '*.log\n');
  const ignored = sync(thread, source, ['.gitignore']);
  assert.deepEqual([ignored.files, ignored.added, ignored.deleted], [2, 1, 1]);
  rmSync(path.join(source, '.gitignore'));
  assert.equal(sync(thread, source, ['.gitignore']).files, 2);
});

test('an unreadable file is named', () => {
  const source = path.join(base, 'unreadable');
  mkdirSync(source);
  writeFileSync(path.join(source, 'secret'), 'x', { mode: 0 });
  const thread = stores.open('unreadable-store');
  const root = process.geteuid?.() === 0;
  chmodSync(base, 0o755);
  // Root reads everything, so it looks with the eyes of nobody.
  if (root) process.seteuid?.(65_534);
  try {
    assert.throws(() => sync(thread, source), /secret/);
  } finally {
    if (root) process.seteuid?.(0);
  }
});

test('pipes and sockets are skipped and counted, a single file is a folder of one', () => {
  const source = path.join(base, 'odd');
  mkdirSync(source);
  execFileSync('mkfifo', [path.join(source, 'pipe')]);
  writeFileSync(path.join(source, 'f'), 'x');
  const outcome = sync(stores.open('odd-store'), source);
  assert.deepEqual([outcome.files, outcome.skipped], [1, 1]);
  assert.equal(sync(stores.open('one-store'), path.join(source, 'f')).files, 1);
});

test('what nothing names any more is collected, what is in use never', () => {
  const source = path.join(base, 'collect');
  mkdirSync(path.join(source, 'sub'), { recursive: true });
  writeFileSync(path.join(source, 'sub/f'), 'first content');
  writeFileSync(path.join(source, 'same'), 'same');
  const thread = stores.open('collect-store');
  const home = path.join(base, 'collect-store');
  const database = new Database(home);
  const states = new StateStore(database);
  const keep = (outcome: SyncOutcome) =>
    states.keep({ ...outcome, source, destination: '/app', owner: null, excludes: '{}' });
  const first = sync(thread, source);
  keep(first);
  writeFileSync(path.join(source, 'sub/f'), 'second content');
  const second = sync(thread, source);
  keep(second);
  const soon = Date.now() + 10_000;
  database.run('UPDATE states SET used_at = 1 WHERE id = ?', first.id);
  database.run(
    `INSERT INTO operations (id, kind, status, title, input, disposable, directory_state_id, runtime, client, created_at)
     VALUES ('op-1', 'run', 'SUCCESS', '', '{}', 1, ?, 'native', 'test', ?)`,
    first.id,
    Date.now(),
  );
  assert.equal(thread.collect(Date.now() - 1000, soon).states, 0, 'a recent operation names it');
  database.run('UPDATE operations SET created_at = 1');
  const collected = thread.collect(Date.now() - 1000, Date.now() + 2 * 3_600_000);
  assert.deepEqual([collected.states, collected.blobs], [1, 1]);
  assert.throws(() => states.find(first.id), { code: 'state_collected' });
  layOut(thread, second, path.join(base, 'collect-out'));
  assert.deepEqual(picture(path.join(base, 'collect-out')), picture(source));
  writeFileSync(path.join(source, 'sub/f'), 'first content');
  const again = sync(thread, source, ['sub/f']);
  assert.equal(again.id, first.id, 'the same content has the same id again');
  layOut(thread, again, path.join(base, 'collect-again'));
  assert.deepEqual(picture(path.join(base, 'collect-again')), picture(source));
  database.close();
});

import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FolderChange, FolderWatcher } from '../../../src/workspace/folderWatcher.ts';

async function watched(
  context: TestContext,
  prepare: (folder: string) => void = () => {},
): Promise<{ folder: string; changes: FolderChange[]; next: () => Promise<FolderChange> }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'coppice-test-watch-'));
  prepare(folder);
  const changes: FolderChange[] = [];
  let wake = () => {};
  const watcher = new FolderWatcher({
    folder,
    excludes: { defaults: true, gitignore: true, exclude: [] },
    onChange: change => {
      changes.push(change);
      wake();
    },
    onTrouble: trouble => assert.fail(trouble.message),
  });
  context.after(async () => {
    await watcher.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await watcher.start();
  let taken = 0;
  const next = async () => {
    const deadline = Date.now() + 10_000;
    while (changes.length <= taken) {
      if (Date.now() > deadline) assert.fail('no change was seen');
      await Promise.race([new Promise<void>(resolve => (wake = resolve)), sleep(100)]);
    }
    return changes[taken++]!;
  };
  return { folder, changes, next };
}

const pathsOf = (change: FolderChange): string[] =>
  change.kind === 'paths' ? [...change.paths].sort() : ['everything'];

function inotifyWatches(): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:inotify')
        count += readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify /gm)?.length ?? 0;
    } catch {
      // The descriptor that lists the folder is gone by now.
    }
  }
  return count;
}

test('a save, a rename and an atomic save are told by path', async context => {
  const { folder, next } = await watched(context, at => writeFileSync(path.join(at, 'a.txt'), '1'));
  writeFileSync(path.join(folder, 'a.txt'), '22');
  assert.deepEqual(pathsOf(await next()), ['a.txt']);
  renameSync(path.join(folder, 'a.txt'), path.join(folder, 'b.txt'));
  assert.deepEqual(pathsOf(await next()), ['a.txt', 'b.txt']);
  writeFileSync(path.join(folder, '.b.swp'), '333');
  renameSync(path.join(folder, '.b.swp'), path.join(folder, 'b.txt'));
  assert.ok(pathsOf(await next()).includes('b.txt'));
});

test('a burst is one change, and excluded folders hold no watch', async context => {
  const before = inotifyWatches();
  const { folder, changes, next } = await watched(context, at => {
    for (const excluded of ['node_modules/x/y', '.git/objects', 'dist'])
      mkdirSync(path.join(at, excluded), { recursive: true });
    for (let count = 0; count < 20; count++) mkdirSync(path.join(at, `src/d${count}`), { recursive: true });
  });
  // The folder, src and its twenty; chokidar also looks at the folder from its parent.
  assert.ok(inotifyWatches() - before <= 24, `${inotifyWatches() - before} watches`);
  for (let count = 0; count < 2000; count++) writeFileSync(path.join(folder, `src/d${count % 20}/f${count}`), 'x');
  writeFileSync(path.join(folder, 'node_modules/x/y/z'), 'x');
  const seen = new Set<string>();
  while (seen.size < 2000) for (const file of pathsOf(await next())) seen.add(file);
  await sleep(300);
  assert.ok(changes.length <= 4, `${changes.length} changes for one burst`);
  assert.ok(![...seen].some(file => file.startsWith('node_modules')));
});

test('rules that change put everything in question, and then other folders are watched', async context => {
  const { folder, next } = await watched(context, at => {
    mkdirSync(path.join(at, 'logs'));
    writeFileSync(path.join(at, '.gitignore'), 'logs\n');
  });
  writeFileSync(path.join(folder, 'logs/a'), 'x');
  rmSync(path.join(folder, '.gitignore'));
  assert.equal((await next()).kind, 'everything');
  assert.equal((await next()).kind, 'everything');
  writeFileSync(path.join(folder, 'logs/b'), 'x');
  assert.deepEqual(pathsOf(await next()), ['logs/b']);
});

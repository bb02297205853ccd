import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FolderChange, FolderWatcher } from '../../../src/workspace/folderWatcher.ts';
import { SyncStores, sync } from '../sync/syncStores.ts';

let stores: SyncStores;
before(() => {
  stores = new SyncStores();
});
after(() => stores.close());

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

test('editors save as they like: the file that was saved is told', async context => {
  const { folder, next } = await watched(context, at => writeFileSync(path.join(at, 'f'), '1'));
  const file = path.join(folder, 'f');
  const ways: Readonly<Record<string, () => void>> = {
    'a backup beside it': () => {
      renameSync(file, `${file}~`);
      writeFileSync(file, 'vim');
      rmSync(`${file}~`);
    },
    'a new file over it': () => {
      writeFileSync(`${file}.tmp`, 'jetbrains');
      renameSync(`${file}.tmp`, file);
    },
    'removed and written anew': () => {
      rmSync(file);
      writeFileSync(file, 'anew');
    },
    'in place, in pieces': () => {
      writeFileSync(file, '');
      writeFileSync(file, 'pieces');
    },
  };
  for (const [way, save] of Object.entries(ways)) {
    save();
    assert.ok(pathsOf(await next()).includes('f'), way);
    await sleep(150);
  }
});

test('a branch is switched, thousands of files: one change or few, and nothing is missed', async context => {
  const git = (at: string, ...words: string[]) =>
    execFileSync('git', ['-C', at, '-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'gc.auto=0', ...words], {
      stdio: 'pipe',
    });
  const write = (at: string, text: string, count: number) => {
    for (let n = 0; n < count; n++) {
      mkdirSync(path.join(at, `d${n % 40}`), { recursive: true });
      writeFileSync(path.join(at, `d${n % 40}`, `f${n}`), `${text} ${n}`);
    }
  };
  const { folder, changes } = await watched(context, at => {
    git(at, 'init', '-q', '-b', 'main');
    write(at, 'main', 2500);
    git(at, 'add', '-A');
    git(at, 'commit', '-qm', 'main');
    git(at, 'checkout', '-qb', 'other');
    write(at, 'other', 2000);
    rmSync(path.join(at, 'd39'), { recursive: true });
    mkdirSync(path.join(at, 'new'));
    writeFileSync(path.join(at, 'new', 'n'), 'n');
    git(at, 'add', '-A');
    git(at, 'commit', '-qm', 'other');
  });
  const told: FolderChange[] = [];
  const thread = stores.open('switched');
  let seen = sync(thread, folder);
  for (const branch of ['main', 'other', 'main']) {
    git(folder, 'checkout', '-q', branch);
    const deadline = Date.now() + 15_000;
    // What the watcher tells is enough to come to the same state as a look at everything does.
    const whole = sync(stores.open(`switched-${branch}-${told.length}`), folder);
    while (seen.id !== whole.id && Date.now() < deadline) {
      await sleep(50);
      for (const change of changes.splice(0)) {
        told.push(change);
        seen = sync(thread, folder, change.kind === 'paths' ? change.paths : undefined);
      }
    }
    assert.equal(seen.id, whole.id, branch);
  }
  assert.ok(told.length <= 15, `${told.length} changes for three switches`);
});

test('what is left out holds no watch and makes no change', async context => {
  const folder = mkdtempSync(path.join(tmpdir(), 'coppice-test-watch-'));
  const store = path.join(folder, 'share', 'store');
  mkdirSync(store, { recursive: true });
  const changes: FolderChange[] = [];
  const watcher = new FolderWatcher({
    folder,
    excludes: { defaults: true, gitignore: true, exclude: [] },
    leaveOut: store,
    onChange: change => changes.push(change),
    onTrouble: trouble => assert.fail(trouble.message),
  });
  context.after(async () => {
    await watcher.close();
    rmSync(folder, { recursive: true });
  });
  await watcher.start();
  writeFileSync(path.join(store, 'database'), 'x');
  await sleep(300);
  assert.deepEqual(changes, []);
});

test('the system allows no more watches: said once, with what to do, and start ends', () => {
  const program = `
    import { FolderWatcher } from ${JSON.stringify(path.resolve('src/workspace/folderWatcher.ts'))};
    import { mkdirSync } from 'node:fs';
    const folder = process.argv[1];
    for (let n = 0; n < 50; n++) mkdirSync(folder + '/d' + n, { recursive: true });
    const watcher = new FolderWatcher({
      folder,
      excludes: { defaults: true, gitignore: true, exclude: [] },
      onChange: () => {},
      onTrouble: trouble => console.log(JSON.stringify(trouble)),
    });
    await watcher.start();
    await new Promise(resolve => setTimeout(resolve, 300));
    await watcher.close();
    console.log('ended');`;
  const folder = mkdtempSync(path.join(tmpdir(), 'coppice-test-watch-'));
  try {
    // The limit of a user namespace of its own: the machine keeps its own.
    const script = 'echo 10 > /proc/sys/user/max_inotify_watches && exec "$0" --input-type=module -e "$1" "$2"';
    const out = execFileSync('unshare', ['-Ur', '/bin/sh', '-c', script, process.execPath, program, folder], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    const lines = out.trim().split('\n');
    assert.equal(lines.length, 2, out);
    const trouble = JSON.parse(lines[0]!) as { readonly code: string; readonly fix: string };
    assert.equal(trouble.code, 'watch_limit');
    assert.match(trouble.fix, /max_user_watches/);
    assert.equal(lines[1], 'ended');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

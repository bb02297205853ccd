import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { LinuxRootedFolder } from '../../../src/paths/linuxRooted.ts';
import { PortableRootedFolder } from '../../../src/paths/portableRooted.ts';
import { RootedError, type RootedErrorCode, type RootedFolder } from '../../../src/paths/rooted.ts';

let base: string;
let root: string;
let outside: string;

beforeEach(() => {
  base = fs.mkdtempSync(path.join(os.tmpdir(), 'rooted-'));
  root = path.join(base, 'root');
  outside = path.join(base, 'outside');
  fs.mkdirSync(root);
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, 'secret'), 'secret');
});
afterEach(() => fs.rmSync(base, { recursive: true, force: true }));

for (const [name, open] of [
  ['linux', (folder: string): RootedFolder => new LinuxRootedFolder(folder)],
  ['portable', (folder: string): RootedFolder => new PortableRootedFolder(folder)],
] as const) {
  describe(`rooted folder, ${name}`, { skip: name === 'linux' && process.platform !== 'linux' }, () => {
    let folder: RootedFolder;
    beforeEach(() => {
      folder = open(root);
    });
    afterEach(() => folder.close());

    test('reads, lists and states what is inside', () => {
      fs.mkdirSync(path.join(root, 'a/b'), { recursive: true });
      fs.writeFileSync(path.join(root, 'a/b/file'), 'text');
      fs.symlinkSync('b/file', path.join(root, 'a/link'));
      assert.equal(read(folder, '/a/b/file'), 'text');
      assert.equal(read(folder, 'a/link'), 'text');
      assert.equal(folder.stat('/a/link').isFile(), true);
      assert.equal(folder.lstat('/a/link').isSymbolicLink(), true);
      assert.equal(folder.readlink('/a/link').toString(), 'b/file');
      assert.deepEqual(
        folder
          .list('/a')
          .map(entry => entry.name)
          .sort(),
        ['b', 'link'],
      );
      assert.equal(folder.stat('/').isDirectory(), true);
    });

    test('.. never leaves', () => {
      fs.writeFileSync(path.join(root, 'secret'), 'inside');
      fs.mkdirSync(path.join(root, 'a'));
      assert.equal(read(folder, '../../a/../../secret'), 'inside');
      refuses(['path_not_found'], () => folder.openFile('../outside/secret'));
    });

    test('links never lead out', () => {
      fs.symlinkSync('../outside', path.join(root, 'relative'));
      fs.symlinkSync(outside, path.join(root, 'absolute'));
      fs.symlinkSync('../outside/secret', path.join(root, 'file'));
      const out: RootedErrorCode[] = ['path_not_found', 'path_escapes'];
      refuses(out, () => folder.openFile('/relative/secret'));
      refuses(out, () => folder.openFile('/absolute/secret'));
      refuses(out, () => folder.openFile('/file'));
      refuses(out, () => folder.list('/absolute'));
      refuses(out, () => folder.createFile('/relative/new', { mode: 0o644 }));
      if (name === 'portable') refuses(out, () => folder.makeFolder('/relative/new'));
      else folder.makeFolder('/relative/new');
      folder.remove('/absolute');
      folder.remove('/relative');
      assert.deepEqual(fs.readdirSync(outside), ['secret']);
    });

    test('a circle of links ends', () => {
      fs.symlinkSync('b', path.join(root, 'a'));
      fs.symlinkSync('a', path.join(root, 'b'));
      assert.throws(() => folder.openFile('/a'));
      assert.throws(() => folder.list('/a/x'));
    });

    test('creates whole or not at all', () => {
      const file = folder.createFile('/new', { mode: 0o640 });
      fs.writeSync(file.fd, 'one');
      refuses(['path_not_found'], () => folder.openFile('/new'));
      file.commit();
      assert.equal(read(folder, '/new'), 'one');
      assert.equal(folder.stat('/new').mode & 0o777, 0o640);
      folder.createFile('/new', { mode: 0o640 }).abandon();
      refuses(['already_exists'], () => folder.createFile('/new', { mode: 0o600, overwrite: false }).commit());
      assert.deepEqual(fs.readdirSync(root), ['new']);
      assert.equal(read(folder, '/new'), 'one');
    });

    test('a link in the way of a new file is replaced, or written through when asked', () => {
      fs.writeFileSync(path.join(root, 'target'), 'old');
      fs.symlinkSync('target', path.join(root, 'through'));
      fs.symlinkSync(path.join(outside, 'secret'), path.join(root, 'link'));
      write(folder, '/link', 'new', false);
      assert.equal(fs.readFileSync(path.join(outside, 'secret'), 'utf8'), 'secret');
      assert.equal(folder.lstat('/link').isFile(), true);
      write(folder, '/through', 'new', true);
      assert.equal(fs.readFileSync(path.join(root, 'target'), 'utf8'), 'new');
      assert.equal(folder.lstat('/through').isSymbolicLink(), true);
    });

    test('a folder cannot be replaced by a file, the root not be removed', () => {
      folder.makeFolder('/a/b/c');
      refuses(['not_a_file', 'already_exists'], () => write(folder, '/a', 'x', false));
      assert.throws(() => folder.remove('/'));
      folder.remove('/a');
      folder.remove('/a/never/there');
      assert.deepEqual(fs.readdirSync(root), []);
    });

    test('a file is no folder and a FIFO no file', () => {
      fs.writeFileSync(path.join(root, 'file'), '');
      execFileSync('mkfifo', [path.join(root, 'fifo')]);
      refuses(['not_a_directory', 'path_not_found'], () => folder.openFile('/file/x'));
      refuses(['not_a_directory'], () => folder.list('/file'));
      refuses(['not_a_file'], () => folder.openFile('/fifo'));
      refuses(['not_a_file'], () => folder.openFile('/'));
    });

    test('links, times, modes, appending', () => {
      folder.symlink('/nowhere', '/link');
      folder.symlink('elsewhere', '/link');
      assert.equal(folder.readlink('/link').toString(), 'elsewhere');
      const time = new Date('2020-02-02T02:02:02Z');
      folder.setTime('/link', time);
      assert.equal(folder.lstat('/link').mtimeMs, time.getTime());
      folder.setMode('/link', 0o777);
      for (const text of ['a', 'b']) {
        const fd = folder.appendFile('/log', 0o644);
        fs.writeSync(fd, text);
        fs.closeSync(fd);
      }
      assert.equal(read(folder, '/log'), 'ab');
      folder.setMode('/log', 0o4700);
      assert.equal(folder.stat('/log').mode & 0o7777, 0o4700);
    });
  });
}

describe('rooted folder on Linux', { skip: process.platform !== 'linux' }, () => {
  test('an absolute link starts again at the root', () => {
    const folder = new LinuxRootedFolder(root);
    fs.mkdirSync(path.join(root, 'etc'));
    fs.writeFileSync(path.join(root, 'etc/passwd'), 'inside');
    fs.symlinkSync('/etc/passwd', path.join(root, 'link'));
    fs.symlinkSync('/../../../etc', path.join(root, 'up'));
    assert.equal(read(folder, '/link'), 'inside');
    assert.equal(read(folder, '/up/passwd'), 'inside');
    folder.close();
  });

  test('names that are not UTF-8 are reached by their bytes', () => {
    const folder = new LinuxRootedFolder(root);
    const name = Buffer.from([0x61, 0xff, 0x62]);
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), 'odd');
    assert.equal(read(folder, name), 'odd');
    folder.remove(name);
    assert.deepEqual(fs.readdirSync(root), []);
    folder.close();
  });

  test('leaves no descriptor open', () => {
    const folder = new LinuxRootedFolder(root);
    folder.makeFolder('/a/b/c');
    fs.symlinkSync('/a/b', path.join(root, 'link'));
    const before = fs.readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 50; i++) {
      folder.stat('/link/c');
      folder.list('/link/../b');
      assert.throws(() => folder.openFile('/a/b/c'));
      assert.throws(() => folder.openFile('/a/none/c'));
      write(folder, '/link/c/file', 'x', true);
      write(folder, 'file', 'x', false);
      folder.remove('/link/c/file');
    }
    assert.equal(fs.readdirSync('/proc/self/fd').length, before);
    folder.close();
  });

  test('links swapped all the time never lead out', async () => {
    fs.mkdirSync(path.join(root, 'safe'));
    fs.writeFileSync(path.join(root, 'safe/secret'), 'inside');
    const swapper = spawn(process.execPath, ['-e', swapping, root, outside], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise(resolve => swapper.stdout.once('data', resolve));
      const folder = new LinuxRootedFolder(root);
      const seen = { inside: 0, other: 0 };
      const until = Date.now() + 1500;
      while (Date.now() < until) {
        // Empty while it is being written.
        attempt(seen, () => assert.ok(['', 'inside'].includes(read(folder, '/swap/secret'))));
        attempt(seen, () => write(folder, '/swap/written', 'x', true));
        attempt(seen, () => folder.makeFolder('/swap/made/deep'));
        attempt(seen, () => folder.symlink('x', '/swap/link'));
        attempt(seen, () => folder.setMode('/swap/secret', 0o600));
        attempt(seen, () => folder.remove('/swap/made'));
        attempt(seen, () => fs.closeSync(folder.appendFile('/swap/log', 0o600)));
        attempt(seen, () => folder.list('/swap').forEach(entry => void assert.notEqual(entry.name, 'only-outside')));
      }
      folder.close();
      assert.ok(seen.inside > 50, `only ${seen.inside} uses were inside`);
    } finally {
      swapper.kill('SIGKILL');
    }
    assert.deepEqual(fs.readdirSync(outside), ['secret']);
    assert.equal(fs.statSync(path.join(outside, 'secret')).mode & 0o777, 0o644);
  });
});

/** In turns a folder, a link to it, a relative and an absolute link out, and nothing. */
const swapping = `
const fs = require('fs'), [, root, outside] = process.argv, swap = root + '/swap';
process.stdout.write('go');
for (;;) {
  try { fs.mkdirSync(swap); fs.writeFileSync(swap + '/secret', 'inside'); } catch {}
  try { fs.rmSync(swap, { recursive: true, force: true }); } catch {}
  for (const target of ['safe', '../outside', outside, '/safe', 'safe/../../outside']) {
    try { fs.symlinkSync(target, swap); fs.unlinkSync(swap); } catch {}
  }
}`;

function attempt(seen: { inside: number; other: number }, use: () => void): void {
  try {
    use();
    seen.inside++;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    seen.other++;
  }
}

function read(folder: RootedFolder, name: string | Buffer): string {
  const fd = folder.openFile(name);
  try {
    return fs.readFileSync(fd, 'utf8');
  } finally {
    fs.closeSync(fd);
  }
}

function write(folder: RootedFolder, name: string, text: string, follow: boolean): void {
  const file = folder.createFile(name, { mode: 0o644, follow });
  fs.writeSync(file.fd, text);
  file.commit();
}

function refuses(codes: readonly RootedErrorCode[], use: () => unknown): void {
  assert.throws(use, error => error instanceof RootedError && codes.includes(error.code));
}

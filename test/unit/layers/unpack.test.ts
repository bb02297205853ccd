import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { CoppiceError, toWireError } from '../../../src/protocol/errors.ts';
import type { RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { type Entry, tarOfEntries } from '../../harness/tarOfEntries.ts';
import { inside, runInside } from './insideNamespace.ts';
import { StoreInside } from './storeInside.ts';

if (inside === undefined) {
  test('unpacking, in a namespace', { skip: process.platform !== 'linux' }, async () => {
    assert.equal(await runInside(fileURLToPath(import.meta.url)), 0);
  });
} else {
  describe('unpacking a rootfs', () => {
    let store: StoreInside;
    let outside: string;
    before(() => {
      store = new StoreInside('unpack');
    });
    after(() => store.close());
    beforeEach(() => {
      outside = fs.mkdtempSync(path.join(inside!, 'outside-'));
      fs.writeFileSync(path.join(outside, 'secret'), 'secret');
    });

    const load = async (bytes: Buffer, signal = new AbortController().signal) => {
      const imported = await store.imports.importRootfs('rootfs', Readable.from(pieces(bytes)), {
        signal,
        progress: () => {},
        total: bytes.length,
      });
      return {
        image: { uuid: 'rootfs', data: imported.data } satisfies RuntimeImage,
        imported,
        notes: imported.notes ?? [],
      };
    };
    const refused =
      (pattern: RegExp, code = 'import_failed') =>
      (error: unknown) => {
        assert.ok(error instanceof CoppiceError && error.code === code, String(error));
        assert.match(error.message, pattern);
        assert.ok(error.fix);
        return true;
      };
    const layers = () => fs.readdirSync(path.join(store.folder, 'layers')).filter(name => name.startsWith('l'));

    test('a real tree comes back as it was', async () => {
      const tree = path.join(inside!, 'tree');
      fs.mkdirSync(path.join(tree, 'etc/deep'), { recursive: true });
      fs.mkdirSync(path.join(tree, 'bin'));
      fs.copyFileSync(fs.realpathSync('/bin/sh'), path.join(tree, 'bin/sh'));
      fs.writeFileSync(path.join(tree, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\n');
      fs.writeFileSync(path.join(tree, 'etc/deep/é and spaces\nand a line'), 'x');
      fs.writeFileSync(Buffer.concat([Buffer.from(`${tree}/etc/`), Buffer.from([0xff, 0x61])]), 'odd');
      fs.writeFileSync(path.join(tree, `etc/${'long'.repeat(50)}`), 'long');
      fs.linkSync(path.join(tree, 'etc/passwd'), path.join(tree, 'etc/again'));
      fs.symlinkSync('/etc/passwd', path.join(tree, 'link'));
      fs.chmodSync(path.join(tree, 'bin/sh'), 0o4755);
      fs.mkdirSync(path.join(tree, 'tmp'));
      fs.chmodSync(path.join(tree, 'tmp'), 0o1777);
      fs.lchownSync(path.join(tree, 'etc/deep'), 5, 7);
      execFileSync('mkfifo', [path.join(tree, 'fifo')]);
      const time = new Date('2020-02-02T02:02:02Z');
      fs.utimesSync(path.join(tree, 'etc/deep'), time, time);
      for (const args of [['--format=gnu'], ['--format=gnu', '-z'], ['--format=gnu', '--zstd']]) {
        const tar = execFileSync('tar', ['-c', ...args, '-C', tree, '.'], { maxBuffer: 1e9 });
        const { image, imported, notes } = await load(tar);
        assert.match(imported.digest, /^sha256:[0-9a-f]{64}$/);
        assert.equal(imported.config.architecture, process.arch === 'x64' ? 'amd64' : process.arch);
        assert.ok(imported.size > 10_000);
        assert.deepEqual(notes, []);
        await store.look(image, root => {
          const stat = (name: string) => fs.lstatSync(path.join(root, name));
          assert.equal(stat('bin/sh').mode & 0o7777, 0o4755);
          assert.equal(stat('tmp').mode & 0o7777, 0o1777);
          assert.deepEqual([stat('etc/deep').uid, stat('etc/deep').gid], [5, 7]);
          assert.equal(stat('etc/deep').mtimeMs, time.getTime());
          assert.equal(stat('etc/passwd').ino, stat('etc/again').ino);
          assert.equal(fs.readlinkSync(path.join(root, 'link')), '/etc/passwd');
          assert.deepEqual(fs.readdirSync(path.join(root, 'etc/deep')), ['é and spaces\nand a line']);
          assert.ok(fs.existsSync(path.join(root, `etc/${'long'.repeat(50)}`)));
          assert.ok(fs.existsSync(Buffer.concat([Buffer.from(`${root}/etc/`), Buffer.from([0xff, 0x61])])));
          assert.ok(stat('fifo').isFIFO());
          assert.ok(fs.existsSync(path.join(root, 'proc')), 'mount points are there');
        });
      }
    });

    test('owners that do not exist here become root', async () => {
      const { image, notes } = await load(
        await tarOf([
          { name: 'a', uid: 4_000_000, gid: 4_000_000 },
          { name: 'b', uid: 3 },
        ]),
      );
      await store.look(image, root => {
        assert.equal(fs.statSync(path.join(root, 'a')).uid, 0);
        assert.equal(fs.statSync(path.join(root, 'b')).uid, 3);
      });
      assert.match(notes.join(), /^1 files belong to root/);
    });

    test('links inside the archive are kept, and files through them land inside', async () => {
      const { image } = await load(
        await tarOf([
          { name: 'usr/lib/', type: 'directory' },
          { name: 'lib', type: 'symlink', linkname: 'usr/lib' },
          { name: 'lib/through' },
          { name: 'abs', type: 'symlink', linkname: '/usr/lib' },
          { name: 'abs/absolute' },
          { name: '/rooted' },
        ]),
      );
      await store.look(image, root => {
        assert.deepEqual(fs.readdirSync(path.join(root, 'usr/lib')).sort(), ['absolute', 'through']);
        assert.ok(fs.existsSync(path.join(root, 'rooted')));
      });
    });

    test('a later entry replaces an earlier one', async () => {
      const { image } = await load(
        await tarOf([
          { name: 'a', content: 'one' },
          { name: 'a', content: 'two' },
          { name: 'b/c' },
          { name: 'b' },
          { name: 'd', type: 'symlink', linkname: '/nowhere' },
          { name: 'd/', type: 'directory' },
        ]),
      );
      await store.look(image, root => {
        assert.equal(fs.readFileSync(path.join(root, 'a'), 'utf8'), 'two');
        assert.ok(fs.statSync(path.join(root, 'b')).isFile());
        assert.ok(fs.lstatSync(path.join(root, 'd')).isDirectory());
      });
    });

    test('nothing leads out', async () => {
      const evil: Entry[][] = [
        [{ name: '../../../../../../evil' }],
        [{ name: 'a/../../evil' }],
        [{ name: 'out', type: 'symlink', linkname: outside }, { name: 'out/evil' }],
        [{ name: 'out', type: 'symlink', linkname: `../../../../../..${outside}` }, { name: 'out/evil' }],
        [
          { name: 'out', type: 'symlink', linkname: path.join(outside, 'secret') },
          { name: 'out', content: 'evil' },
        ],
        [{ name: 'hard', type: 'link', linkname: path.join(outside, 'secret') }],
        [{ name: 'hard', type: 'link', linkname: `../../../../../..${outside}/secret` }],
        [
          { name: 'out', type: 'symlink', linkname: outside },
          { name: 'hard', type: 'link', linkname: 'out/secret' },
          { name: 'hard', content: 'evil' },
        ],
        [
          { name: 'a', type: 'symlink', linkname: 'b' },
          { name: 'b', type: 'symlink', linkname: outside },
          { name: 'a/evil' },
        ],
        [{ name: 'd/', type: 'directory' }, { name: 'd', type: 'symlink', linkname: outside }, { name: 'd/evil' }],
        [{ name: 'd/one' }, { name: 'd', type: 'symlink', linkname: outside }, { name: 'd/evil', content: 'evil' }],
        [
          { name: 'out', type: 'symlink', linkname: outside },
          { name: 'out/', type: 'directory', mode: 0o777 },
        ],
        [
          { name: 'out', type: 'symlink', linkname: outside },
          { name: 'out/.', type: 'directory', mode: 0o777 },
        ],
      ];
      for (const [index, entries] of evil.entries()) {
        try {
          const { image } = await load(await tarOf(entries));
          await store.look(image, () => undefined);
        } catch (error) {
          assert.ok(error instanceof CoppiceError && error.code === 'import_failed', `${index}: ${error}`);
        }
        assert.deepEqual(fs.readdirSync(outside), ['secret'], String(index));
        assert.equal(fs.readFileSync(path.join(outside, 'secret'), 'utf8'), 'secret', String(index));
        assert.equal(fs.statSync(path.join(outside, 'secret')).nlink, 1, String(index));
        assert.equal(fs.statSync(outside).mode & 0o777, 0o700, String(index));
      }
      for (let folder = inside!; folder !== '/'; folder = path.dirname(folder))
        assert.equal(fs.existsSync(path.join(folder, 'evil')), false);
    });

    test('devices are left out', async () => {
      const { image, notes } = await load(
        await tarOf([
          { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
          { name: 'disk', type: 'block-device', devmajor: 8, devminor: 0 },
          { name: 'file' },
        ]),
      );
      await store.look(image, root => assert.equal(fs.existsSync(path.join(root, 'null')), false));
      assert.match(notes.join(), /^2 devices/);
    });

    test('what is no archive, is cut short or spoilt is refused, and nothing stays', async () => {
      const tar = await tarOf([{ name: 'big', content: 'x'.repeat(200_000) }, { name: 'next' }]);
      const zipped = zlib.gzipSync(tar);
      const spoilt = Buffer.from(zipped);
      spoilt.fill(0x55, spoilt.length / 2, spoilt.length / 2 + 20);
      const here = layers().length;
      await assert.rejects(load(Buffer.alloc(0)), refused(/no files/));
      await assert.rejects(load(Buffer.from('#!/bin/sh\necho hello\n'.repeat(100))), refused(/tar/));
      await assert.rejects(load(tar.subarray(0, 100_000)), refused(/./));
      await assert.rejects(load(zipped.subarray(0, zipped.length - 30)), refused(/./));
      await assert.rejects(load(spoilt), refused(/./));
      await assert.rejects(load(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2])), refused(/xz/, 'unsupported'));
      await assert.rejects(load(await tarOf([{ name: 'x', pax: { 'GNU.sparse.major': '1' } }])), refused(/kind/));
      assert.equal(layers().length, here);
    });

    test('a full disk is named, and nothing stays', async () => {
      const small = path.join(inside!, 'small');
      fs.mkdirSync(small);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', small]);
      const full = new StoreInside('small');
      try {
        const tar = await tarOf([{ name: 'big', content: 'x'.repeat(4_000_000) }]);
        const options = { signal: new AbortController().signal, progress: () => {}, total: undefined };
        await assert.rejects(
          full.imports.importRootfs('x', Readable.from(pieces(tar)), options),
          error => toWireError(error).code === 'disk_full',
        );
        await full.store.settled();
        const left = fs.readdirSync(path.join(small, 'layers')).concat(fs.readdirSync(path.join(small, 'staging')));
        assert.deepEqual(
          left.filter(name => !name.startsWith('s')),
          [],
        );
      } finally {
        full.close();
        execFileSync('umount', ['-l', small]);
      }
    });

    test('can be stopped', async () => {
      const here = layers().length;
      const stop = new AbortController();
      const endless = Readable.from(
        (async function* () {
          const tar = await tarOf([{ name: 'big', content: 'x'.repeat(2_000_000) }]);
          for (let at = 0; at < tar.length; at += 65_536) {
            if (at > 1_000_000) stop.abort();
            yield tar.subarray(at, at + 65_536);
            await new Promise(resolve => setTimeout(resolve, 1));
          }
        })(),
      );
      const options = { signal: stop.signal, progress: () => {}, total: undefined };
      await assert.rejects(store.imports.importRootfs('x', endless, options), { name: 'AbortError' });
      assert.equal(layers().length, here);
    });
  });
}

const tarOf = (entries: readonly Entry[]) =>
  tarOfEntries(entries.map(entry => ({ mtime: new Date(0), content: 'evil', ...entry })));

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 10_007) yield bytes.subarray(at, at + 10_007);
}

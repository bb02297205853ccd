import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import type { RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { digestOf } from '../../harness/ociLayout.ts';
import { type Entry, tarOfEntries } from '../../harness/tarOfEntries.ts';
import { inside, runInside } from './insideNamespace.ts';
import { StoreInside } from './storeInside.ts';

if (inside === undefined) {
  test('layers of images from outside, in a namespace', { skip: process.platform !== 'linux' }, async () => {
    assert.equal(await runInside(fileURLToPath(import.meta.url)), 0);
  });
} else {
  describe('layers of images from outside', () => {
    let store: StoreInside;
    let outside: string;
    let images = 0;
    before(() => {
      store = new StoreInside('oci');
    });
    after(() => store.close());
    beforeEach(() => {
      outside = fs.mkdtempSync(path.join(inside!, 'outside-'));
      fs.writeFileSync(path.join(outside, 'secret'), 'secret');
    });

    const options = () => ({ signal: new AbortController().signal, progress: () => {}, total: undefined });
    /** Brings what is missing, as the engine does. */
    const bring = async (tars: readonly Buffer[], pack = (tar: Buffer) => tar) => {
      const uuid = `image-${++images}`;
      const diffIds = tars.map(digestOf);
      try {
        const here = store.imports.claim(uuid, diffIds);
        for (const [index, tar] of tars.entries()) {
          if (here[index]) continue;
          await store.imports.importLayer(
            uuid,
            diffIds.slice(0, index + 1),
            Readable.from(pieces(pack(tar))),
            options(),
          );
        }
        const { data, size, notes } = await store.imports.finish(uuid, diffIds, options().signal);
        return { image: { uuid, data } satisfies RuntimeImage, here, size, notes };
      } catch (error) {
        store.imports.abandon(uuid);
        throw error;
      }
    };
    const layers = async (...entries: readonly (readonly Entry[])[]) =>
      bring(await Promise.all(entries.map(tarOfEntries)));
    const refused = (work: Promise<unknown>, pattern: RegExp, code = 'import_failed') =>
      assert.rejects(work, error => {
        assert.ok(error instanceof CoppiceError && error.code === code, String(error));
        assert.match(error.message, pattern);
        return true;
      });
    const listed = (image: RuntimeImage, ...below: readonly string[]) =>
      store.look(image, root =>
        execFileSync('find', [path.join(root, ...below), '-mindepth', '1', '-printf', '%y %P\\n'], { encoding: 'utf8' })
          .split('\n')
          .filter(Boolean)
          .sort(),
      );
    const kept = () => fs.readdirSync(path.join(store.folder, 'layers')).filter(name => name.startsWith('l'));

    test('whiteouts hide what lies below and nothing of their own layer, in whatever order', async () => {
      const folder: Entry = { name: 'd', type: 'directory' };
      const below: Entry[] = [
        folder,
        { name: 'd/a' },
        { name: 'd/b' },
        { name: 'e', type: 'directory' },
        { name: 'e/x' },
      ];
      for (const above of [
        [folder, { name: 'd/.wh.a' }, { name: 'd/c' }, { name: 'd/.wh.b' }, { name: 'd/b' }, { name: '.wh.e' }],
        [{ name: '.wh.e' }, { name: 'd/b' }, { name: 'd/.wh.b' }, { name: 'd/c' }, { name: 'd/.wh.a' }, folder],
      ]) {
        const { image } = await layers(below, above);
        assert.deepEqual(await listed(image, 'd'), ['f b', 'f c']);
        await store.look(image, root => assert.equal(fs.existsSync(path.join(root, 'e')), false));
      }
    });

    test('opaque folders: before or after what is in them, made in the place of a whiteout, at the root', async () => {
      const folder: Entry = { name: 'd', type: 'directory' };
      const below: Entry[] = [
        folder,
        { name: 'd/old' },
        { name: 'd/s', type: 'directory' },
        { name: 'd/s/old' },
        { name: 'f' },
      ];
      const opaque: Entry = { name: 'd/.wh..wh..opq' };
      for (const above of [
        [folder, opaque, { name: 'd/new' }],
        [{ name: 'd/new' }, opaque, folder],
        [{ name: '.wh.d' }, folder, { name: 'd/new' }],
        [folder, { name: 'd/new' }, { name: '.wh.d' }],
      ])
        assert.deepEqual(await listed((await layers(below, above)).image, 'd'), ['f new']);
      const { image } = await layers(below, [{ name: '.wh..wh..opq' }, { name: 'only' }]);
      await store.look(image, root =>
        assert.deepEqual([fs.existsSync(`${root}/only`), fs.existsSync(`${root}/f`)], [true, false]),
      );
    });

    test('a whiteout of what is not there shows nothing', async () => {
      const { image } = await layers(
        [{ name: 'x' }],
        [{ name: 'new/.wh.nothing' }, { name: 'new/file' }, { name: '.wh.nor' }],
      );
      assert.deepEqual(await listed(image, 'new'), ['f file']);
      await store.look(image, root => assert.equal(fs.readdirSync(root).includes('nor'), false));
      const alone = await layers([{ name: 'd/.wh.nothing' }, { name: 'd/f' }, { name: '.wh.x' }]);
      assert.deepEqual(await listed(alone.image, 'd'), ['f f']);
    });

    test('names that only look like whiteouts, and those of AUFS', async () => {
      for (const name of ['.wh.', '.wh..', '.wh...', 'a/.wh.', 'a/.wh...', '.wh.dir/file'])
        await refused(layers([{ name: 'x' }], [{ name }]), /no name that a layer may have/);
      await refused(layers([{ name: 'a/../.wh.x' }]), /leads out/);
      const { image } = await layers([{ name: 'x' }, { name: '.wh..wh.plnk/1' }, { name: '.wh..wh.aufs' }]);
      await store.look(image, root =>
        assert.deepEqual(
          fs.readdirSync(root).filter(name => name.startsWith('.')),
          [],
        ),
      );
    });

    test('a whiteout through a link of the layer, or in the place of one, stays inside', async () => {
      for (const above of [
        [{ name: 'out', type: 'symlink' as const, linkname: outside }, { name: 'out/.wh.secret' }],
        [{ name: 'd/.wh.new' }, { name: 'd', type: 'symlink' as const, linkname: outside }],
        [{ name: 'd/.wh.secret' }, { name: 'd', type: 'symlink' as const, linkname: outside }],
        [{ name: 'd/.wh..wh..opq' }, { name: 'd', type: 'symlink' as const, linkname: outside }],
        [
          { name: 'd/secret', pax: { mtime: '1.5' } },
          { name: 'd', type: 'symlink' as const, linkname: outside },
        ],
        [
          { name: 'd/secret', type: 'fifo' as const },
          { name: 'd', type: 'symlink' as const, linkname: outside },
        ],
        [
          { name: 'd/', type: 'directory' as const, pax: { mtime: '1.5' } },
          { name: 'd', type: 'symlink' as const, linkname: outside },
        ],
      ]) {
        const before = fs.statSync(path.join(outside, 'secret'), { bigint: true });
        const folder = fs.statSync(outside, { bigint: true });
        await layers([{ name: 'base' }], above);
        assert.deepEqual(fs.readdirSync(outside), ['secret']);
        assert.equal(fs.statSync(path.join(outside, 'secret'), { bigint: true }).ctimeNs, before.ctimeNs);
        assert.equal(fs.statSync(outside, { bigint: true }).ctimeNs, folder.ctimeNs);
      }
    });

    test('a link to a file of a lower layer is that file; to one that is nowhere, outside or a folder, is refused', async () => {
      const below: Entry[] = [
        { name: 'd', type: 'directory' },
        { name: 'd/file', content: 'below', mode: 0o4711, uid: 7, gid: 8 },
        { name: 'l', type: 'symlink', linkname: 'd' },
        { name: 'out', type: 'symlink', linkname: outside },
      ];
      const { image } = await layers(below, [
        { name: 'd/again', type: 'link', linkname: 'd/file' },
        { name: 'second', type: 'link', linkname: 'd/again' },
        { name: 'through', type: 'link', linkname: 'l/file' },
      ]);
      await store.look(image, root => {
        for (const name of ['d/again', 'second', 'through']) {
          const stats = fs.statSync(path.join(root, name));
          assert.deepEqual([stats.mode & 0o7777, stats.uid, stats.gid, stats.size], [0o4711, 7, 8, 5], name);
          assert.equal(stats.mtimeMs, 1_600_000_000_000);
        }
        assert.equal(fs.statSync(path.join(root, 'd')).mtimeMs, 1_600_000_000_000);
      });
      for (const linkname of ['nowhere', 'd', 'out/secret', `${outside}/secret`, 'd/file/x'])
        await refused(layers(below, [{ name: 'evil', type: 'link', linkname }]), /link|folder|not there/);
      await refused(layers(below, [{ name: 'evil', type: 'link', linkname: '../../secret' }]), /leads out/);
      const hidden = layers(below, [{ name: 'd/.wh.file' }], [{ name: 'x', type: 'link', linkname: 'd/file' }]);
      await refused(hidden, /not there/);
    });

    test('folders without an entry look as they do below, whatever lies there', async () => {
      const below: Entry[] = [
        { name: 'p', type: 'directory', mode: 0o1700, uid: 5, gid: 6 },
        { name: 'p/q', type: 'directory', mode: 0o750 },
        { name: 'f', content: 'file' },
      ];
      const above: Entry[] = [{ name: 'p/q/file' }, { name: 'new/file' }, { name: 'f/in' }];
      const first = await layers(below, above);
      await store.look(first.image, root => {
        const [p, q] = ['p', 'p/q'].map(name => fs.statSync(path.join(root, name)));
        assert.deepEqual([p!.mode & 0o7777, p!.uid, p!.gid, p!.mtimeMs], [0o1700, 5, 6, 1_600_000_000_000]);
        assert.deepEqual([q!.mode & 0o7777, q!.mtimeMs], [0o750, 1_600_000_000_000]);
        assert.ok(fs.statSync(path.join(root, 'f')).isDirectory());
      });
      // The same layer on another one looks like that one, and the first stays as it is.
      const second = await layers([{ name: 'p', type: 'directory', mode: 0o711 }], above);
      assert.deepEqual(second.here, [false, false]);
      const modeOf = (image: RuntimeImage) =>
        store.look(image, root => fs.statSync(path.join(root, 'p')).mode & 0o7777);
      assert.deepEqual([await modeOf(first.image), await modeOf(second.image)], [0o1700, 0o711]);
      assert.deepEqual((await layers(below, above)).here, [true, true]);
    });

    test('a layer is unpacked once, stays while an image needs it, and goes with the last', async () => {
      const shared: Entry[] = [{ name: 'shared' }];
      const one = await layers(shared, [{ name: 'one' }]);
      const two = await layers(shared, [{ name: 'two' }]);
      assert.deepEqual(two.here, [true, false]);
      const before = kept().length;
      await store.store.removeImage(one.image, [two.image]);
      assert.equal(kept().length, before - 1);
      assert.ok((await listed(two.image)).includes('f shared'));
      // Not recorded yet, so nobody names it among the others.
      const three = await layers(shared, [{ name: 'three' }]);
      await store.store.removeImage(two.image, []);
      assert.ok((await listed(three.image)).includes('f shared'));
      await store.store.removeImage(three.image, []);
      assert.equal(kept().length, before - 3 + 0);
      assert.deepEqual((await layers(shared)).here, [false]);
    });

    test('what was unpacked is found again by the next engine, and not when its record is lost', async () => {
      const entries: Entry[] = [{ name: 'found again' }];
      const { image } = await layers(entries);
      await store.store.settled();
      const diffId = digestOf(await tarOfEntries(entries));
      for (let waited = 0; waited < 5000 && store.open().shared.find([diffId]) === undefined; waited += 50)
        await new Promise(resolve => setTimeout(resolve, 50));
      const [id] = image.data.layers;
      assert.equal(store.open().shared.find([diffId])?.id, id);
      fs.writeFileSync(path.join(store.folder, 'meta', `${id}.json`), '');
      assert.equal(store.open().shared.find([diffId]), undefined);
    });

    test('an import that fails takes along what it brought, and nothing that others need', async () => {
      const shared: Entry[] = [{ name: 'needed' }];
      const { image } = await layers(shared);
      const before = kept();
      await refused(layers(shared, [{ name: 'brought' }], [{ name: '../evil' }]), /leads out/);
      await refused(layers(shared, [{ name: 'p/implied' }], [{ name: '../evil' }]), /leads out/);
      assert.deepEqual(kept(), before);
      assert.ok((await listed(image)).includes('f needed'));
      await store.store.settled();
      assert.deepEqual(fs.readdirSync(path.join(store.folder, 'staging')), []);
    });

    test('the tar must be the one that the image says, in every packing', async () => {
      const tar = await tarOfEntries([{ name: 'packed', content: 'x'.repeat(100_000) }]);
      for (const pack of [zlib.gzipSync, zlib.zstdCompressSync, twoMembers, twoFrames]) {
        const { image } = await bring([tar], pack);
        await store.look(image, root => assert.equal(fs.statSync(path.join(root, 'packed')).size, 100_000));
        await store.store.removeImage(image, []);
      }
      await refused(
        bring([tar], bytes => Buffer.concat([bytes.subarray(0, 600), Buffer.from('y'), bytes.subarray(601)])),
        /not sha256:[0-9a-f]{64} as the image says/,
      );
      await refused(
        bring([tar], bytes => zlib.gzipSync(bytes).subarray(0, 150)),
        /./,
      );
      await refused(
        bring([tar], bytes => bytes.subarray(0, 1024)),
        /too early/,
      );
    });

    test('the same layer twice, empty layers, and 127 of them', async () => {
      const [a, b, empty] = await Promise.all([
        tarOfEntries([
          { name: 'd', type: 'directory' },
          { name: 'd/x', content: 'a' },
        ]),
        tarOfEntries([
          { name: 'd', type: 'directory' },
          { name: 'd/x', content: 'b' },
        ]),
        tarOfEntries([]),
      ]);
      const { image } = await bring([a!, b!, empty!, a!, empty!]);
      await store.look(image, root => assert.equal(fs.readFileSync(path.join(root, 'd/x'), 'utf8'), 'a'));
      const many = await Promise.all(
        Array.from({ length: 127 }, (_, index) =>
          tarOfEntries([
            { name: 'deep', type: 'directory' },
            { name: `deep/${index}` },
            ...(index > 0 ? [{ name: `deep/.wh.${index - 1}` }] : []),
          ]),
        ),
      );
      const deep = await bring(many);
      assert.deepEqual(await listed(deep.image, 'deep'), ['f 126']);
      const run = await store.commit('run', deep.image, root => fs.writeFileSync(path.join(root, 'deep/new'), ''));
      assert.deepEqual(await listed(run, 'deep'), ['f 126', 'f new']);
      assert.throws(() => store.imports.claim('x', Array(151).fill(digestOf(a!))), { code: 'unsupported' });
    });

    test('attributes: capabilities and users’ own are kept, overlayfs’s never come from outside', async () => {
      const capability =
        '\u0001\u0000\u0000\u0002\u0000\u0020\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000';
      const { image, notes } = await layers(
        [{ name: 'd', type: 'directory' }, { name: 'd/shown' }],
        [
          { name: 'd', type: 'directory', pax: { 'SCHILY.xattr.user.overlay.opaque': 'y' } },
          {
            name: 'ping',
            mode: 0o755,
            pax: { 'SCHILY.xattr.security.capability': capability, 'SCHILY.xattr.user.note': 'hello' },
          },
          { name: 'odd', pax: { 'SCHILY.xattr.trusted.thing': 'x' } },
        ],
      );
      assert.deepEqual(notes, ['2 extended attributes could not be kept.']);
      assert.deepEqual(await listed(image, 'd'), ['f shown']);
      await store.look(image, root => {
        const tar = execFileSync('tar', ['-c', '--xattrs', '--xattrs-include=*', '-C', root, 'ping'], {
          encoding: 'latin1',
        });
        assert.match(tar, /SCHILY\.xattr\.user\.note=hello/);
        assert.ok(tar.includes(`SCHILY.xattr.security.capability=${capability}`));
      });
    });

    test('sparse files of every kind that GNU tar writes', async () => {
      const tree = fs.mkdtempSync(path.join(inside!, 'sparse-'));
      const files = {
        begins: [0],
        ends: [9_000_000],
        many: Array.from({ length: 60 }, (_, at) => at * 300_000),
        none: [],
      };
      for (const [name, places] of Object.entries(files)) {
        const fd = fs.openSync(path.join(tree, name), 'w');
        for (const place of places) fs.writeSync(fd, `at ${place}`, place);
        fs.ftruncateSync(fd, 20_000_001);
        fs.closeSync(fd);
      }
      const kinds = [['gnu'], ['posix', '0.0'], ['posix', '0.1'], ['posix', '1.0']];
      for (const [format, version] of kinds) {
        const options = [`--format=${format}`, ...(version === undefined ? [] : [`--sparse-version=${version}`])];
        const tar = execFileSync('tar', ['-c', '--sparse', ...options, '-C', tree, '.'], { maxBuffer: 1e9 });
        assert.ok(tar.length < 2_000_000);
        const { image, size } = await bring([tar]);
        assert.ok(size < 2_000_000);
        await store.look(image, root => {
          for (const name of Object.keys(files)) {
            execFileSync('cmp', [path.join(tree, name), path.join(root, name)]);
            assert.ok(fs.statSync(path.join(root, name)).blocks * 512 < 1_000_000, `${format} ${version} ${name}`);
          }
        });
      }
    });

    test('what makes no sense is refused: numbers, lists of pieces, headers and names without end', async () => {
      const pax = (records: Record<string, string>) => layers([{ name: 'x', content: 'content', pax: records }]);
      const sparse = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '100' };
      await refused(pax(sparse), /list of its pieces/);
      await refused(pax({ 'GNU.sparse.map': '0,7', 'GNU.sparse.size': '99999999999999' }), /is said to have/);
      await refused(pax({ 'GNU.sparse.map': '50,7,0,1', 'GNU.sparse.size': '100' }), /list of pieces/);
      await refused(pax({ 'GNU.sparse.map': '0,8', 'GNU.sparse.size': '100' }), /does not hold/);
      await refused(pax({ 'GNU.sparse.major': '9' }), /kind that cannot be read/);
      await refused(pax({ mtime: 'yesterday' }), /time/);
      await refused(pax({ uid: '0x10' }), /number/);
      await refused(pax({ path: `${'d/'.repeat(3000)}x` }), /a name of 6001 bytes/);
      await refused(pax({ comment: 'x'.repeat(1 << 20) }), /a header of/);
      await refused(pax({ path: 'n'.repeat(300) }), /ENAMETOOLONG/);
      await refused(
        layers([{ name: 'x', content: 'x'.repeat(2000) }].concat([{ name: 'y', content: '' }])).then(() =>
          bring([Buffer.alloc(700, 1)]),
        ),
        /no tar/,
      );
      const tar = await tarOfEntries([{ name: 'a' }, { name: 'b' }]);
      const gap = Buffer.concat([tar.subarray(0, 1024), Buffer.alloc(512), tar.subarray(1024)]);
      await refused(bring([gap]), /empty block/);
      const huge = Buffer.from(tar);
      huge.write('77777777777', 124);
      huge.write('        ', 148);
      const sum = huge.subarray(0, 512).reduce((total, byte) => total + byte, 0);
      huge.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      await refused(bring([huge]), /too early/);
    });

    test('a bomb ends before the disk is full', async () => {
      const small = path.join(inside!, 'small');
      fs.mkdirSync(small);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', small]);
      const full = new StoreInside('small');
      try {
        const tar = Buffer.concat([await tarOfEntries([{ name: 'x', content: 'x'.repeat(200_000_000) }])]);
        const bomb = zlib.gzipSync(tar);
        assert.ok(bomb.length < 1_000_000);
        const work = full.imports.importLayer('bomb', [digestOf(tar)], Readable.from(pieces(bomb)), options());
        await assert.rejects(work, { code: 'disk_full' });
        await full.store.settled();
        assert.ok(fs.statfsSync(small).bfree > 0);
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
  });
}

function twoMembers(tar: Buffer): Buffer {
  return Buffer.concat([zlib.gzipSync(tar.subarray(0, 700)), zlib.gzipSync(tar.subarray(700))]);
}

/** With a skippable one before them, as zstd:chunked has. */
function twoFrames(tar: Buffer): Buffer {
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  return Buffer.concat([
    skippable,
    zlib.zstdCompressSync(tar.subarray(0, 700)),
    zlib.zstdCompressSync(tar.subarray(700)),
  ]);
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

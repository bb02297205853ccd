import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { inside, runInside } from './insideNamespace.ts';
import { StoreInside } from './storeInside.ts';

if (inside === undefined) {
  test('long chains and removal, in a namespace', { skip: process.platform !== 'linux' }, async () => {
    assert.equal(await runInside(fileURLToPath(import.meta.url)), 0);
  });
} else {
  const layersOf = (image: RuntimeImage) => (image.data as { layers: string[] }).layers;

  /** Every path with all that a user can see of it. */
  const snapshot = (root: string, ...only: string[]) => {
    const lines: string[] = [];
    const walk = (name: string) => {
      const place = path.join(root, name);
      const stats = fs.lstatSync(place);
      const content = stats.isFile()
        ? fs.readFileSync(place, 'latin1')
        : stats.isSymbolicLink()
          ? fs.readlinkSync(place)
          : '';
      const time = stats.isSymbolicLink() ? 0 : Math.round(stats.mtimeMs * 10);
      lines.push(`${name} ${stats.mode.toString(8)} ${stats.uid}:${stats.gid} ${time} ${content}`);
      if (!stats.isDirectory()) return;
      const names = fs.readdirSync(place).filter(entry => !entry.includes('\uFFFD'));
      for (const entry of names.sort()) walk(path.join(name, entry));
    };
    for (const name of only) walk(name);
    return lines;
  };

  describe('the layer of what differs between two states', () => {
    let store: StoreInside;
    before(() => {
      store = new StoreInside('differences');
    });
    after(() => store.close());
    const writing = (name: string) => (root: string) => fs.writeFileSync(path.join(root, 'root', name), name);
    /** The tree of a directory state, or what differs from another's. */
    const laid = (id: string, files: Record<string, string>, over?: string) => {
      const tree = fs.mkdtempSync(path.join(store.folder, 'staging', 'tree-'));
      fs.mkdirSync(path.join(tree, 'app'));
      for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(tree, 'app', name), text);
      store.store.adoptState(`ds-${id}`, id, tree, over);
    };

    test('keeps what it lies over, also when a chain was merged between the two', async () => {
      laid('s0000000', { a: 'old', b: 'old' });
      laid('s0000001', { b: 'new' }, 's0000000');
      let image = await store.host();
      for (let n = 0; n < 32; n++) image = await store.commit(`below-${n}`, image, writing(`${n}`));
      const own = layersOf(image);
      const states = ['s0000001', 's0000000'];
      image = { uuid: 'with', data: { layers: [...states, ...own], laid: states, host: true } };
      let before = image;
      for (let n = 0; n < 15; n++) {
        before = image;
        image = await store.commit(`above-${n}`, image, writing(`above-${n}`));
      }
      await store.store.settled();
      const mounted = store.store.resolve(image.data as never).layers;
      assert.deepEqual([mounted.includes('s0000001'), mounted.includes('s0000000')], [true, false]);
      await store.store.removeImage(before, [image]);
      assert.deepEqual(store.store.stateLayers('ds-s0000001', 's0000001'), states);
      await store.look(image, root =>
        assert.deepEqual(
          ['a', 'b'].map(name => fs.readFileSync(path.join(root, 'app', name), 'utf8')),
          ['old', 'new'],
        ),
      );
    });

    test('is nothing that another could lie over', () => {
      laid('s0000002', { a: '2' });
      laid('s0000003', { b: '3' }, 's0000002');
      assert.throws(() => laid('s0000004', { c: '4' }, 's0000003'), { code: 'state_not_found' });
      assert.equal(store.store.stateLayers('ds-s0000004', 's0000004'), undefined);
    });
  });

  describe('removal', () => {
    let store: StoreInside;
    before(() => {
      store = new StoreInside('removal');
    });
    after(() => store.close());
    const has = (image: RuntimeImage) =>
      layersOf(image).map(id => fs.existsSync(path.join(store.folder, 'layers', id)));
    const file = (name: string, size: number) => (root: string) =>
      fs.writeFileSync(path.join(root, 'root', name), Buffer.alloc(size, 1));

    test('takes what nobody else stands on', async () => {
      const host = await store.host();
      const one = await store.commit('one', host, file('1', 100_000));
      const two = await store.commit('two', one, file('2', 100_000));
      const three = await store.commit('three', one, file('3', 100_000));
      assert.equal(await store.store.removeImage(one, [host, two, three]), 0);
      const freed = await store.store.removeImage(two, [host, three]);
      assert.ok(freed >= 100_000 && freed < 200_000);
      assert.deepEqual(has(two), [false, true]);
      await store.look(three, root => assert.deepEqual(fs.readdirSync(path.join(root, 'root')), ['1', '3']));
      assert.throws(() => store.store.prepare(two), { code: 'image_not_found' });
      assert.ok((await store.store.removeImage(three, [host])) >= 200_000);
      await store.store.settled();
      assert.deepEqual(fs.readdirSync(path.join(store.folder, 'staging')), []);
      assert.deepEqual(fs.readdirSync(path.join(store.folder, 'meta')), []);
    });

    test('waits for who stands on a layer', async () => {
      const host = await store.host();
      const one = await store.commit('one', host, file('1', 10));
      const unpin = store.store.pin(one);
      await store.store.removeImage(one, []);
      assert.deepEqual(has(one), [true]);
      unpin();
      unpin();
      assert.deepEqual(has(one), [false]);
    });

    test('reaping keeps what is known, and what is newer than the start', async () => {
      const host = await store.host();
      const known = await store.commit('known', host, file('1', 10));
      const unknown = await store.commit('unknown', known, file('2', 10));
      fs.mkdirSync(path.join(store.folder, 'staging/half/deep'), { recursive: true });
      fs.mkdirSync(path.join(store.folder, 'runs/dead/upper'), { recursive: true });
      fs.mkdirSync(path.join(store.folder, 'runs/living/upper'), { recursive: true });
      fs.writeFileSync(path.join(store.folder, 'meta/l0000000.json'), '{}');
      const again = store.open();
      const upper = await store.run(known, file('3', 10));
      const made = await again.commitUpper('newer', upper, known);
      assert.ok(made !== 'unchanged');
      await again.reap([known], ['living']);
      await again.settled();
      assert.deepEqual(has(unknown), [false, true]);
      assert.deepEqual(has({ uuid: 'newer', data: made.data }), [true, true]);
      assert.deepEqual(fs.readdirSync(path.join(store.folder, 'staging')), []);
      assert.deepEqual(fs.readdirSync(path.join(store.folder, 'runs')), ['living']);
      assert.equal(fs.readdirSync(path.join(store.folder, 'meta')).length, 2);
      await again.reap([], []);
      assert.deepEqual(store.log, []);
    });
  });

  for (const kind of ['host', 'rootfs'] as const) {
    describe(`long chains on ${kind}`, () => {
      let store: StoreInside;
      let base: RuntimeImage;
      before(async () => {
        store = new StoreInside(`chains-${kind}`);
        base = kind === 'host' ? await store.host() : await rootfs(store);
      });
      after(() => store.close());
      const shown = ['root', 'opt/x', 'etc/many', 'srv'];

      test('a chain of 70 shows the same before and after merging', { timeout: 120_000 }, async () => {
        let image = await store.commit('seed', base, root => seed(root));
        const images: RuntimeImage[] = [];
        const seen: string[][] = [];
        for (let i = 0; i < 70; i++) {
          image = await store.commit(`image-${i}`, image, root => {
            disturb(root, i);
            seen.push(snapshot(root, ...shown));
          });
          images.push(image);
        }
        await store.store.settled();
        assert.deepEqual(store.log, []);
        const mounted = (image: RuntimeImage) => store.store.prepare(image).lowerRoot.length;
        assert.ok(mounted(images.at(-1)!) <= 50, `${mounted(images.at(-1)!)} layers mounted`);
        for (const index of [0, 10, 31, 32, 33, 40, 47, 48, 49, 60, 69])
          await store.look(images[index]!, root => assert.deepEqual(snapshot(root, ...shown), seen[index], `${index}`));
        const whole = seen.at(-1)!;

        // Only the last image stays: what was merged may go, and the store may be opened again.
        const last = images.at(-1)!;
        for (const other of images.slice(0, -1)) await store.store.removeImage(other, [last, base]);
        await store.store.settled();
        const left = fs.readdirSync(path.join(store.folder, 'layers')).filter(name => name.startsWith('l')).length;
        assert.ok(left <= 50, `${left} layers left`);
        await store.look(last, root => assert.deepEqual(snapshot(root, ...shown), whole));
        const child = await store.commit('child', last, root => fs.writeFileSync(path.join(root, 'root/child'), ''));
        const diff = await store.views.diff(last, child, '/');
        assert.deepEqual(
          diff.map(entry => entry.path),
          ['/root/child'],
        );
        await store.look(last, root =>
          assert.equal(
            fs.readFileSync(Buffer.concat([Buffer.from(`${root}/root/`), odd, Buffer.from('/'), odd]), 'utf8'),
            'odd',
          ),
        );
        const reopened = store.open();
        await reopened.reap([last], []);
        await reopened.settled();
        assert.deepEqual(reopened.prepare(last), store.store.prepare(last));
        await store.look(last, root => assert.deepEqual(snapshot(root, ...shown), whole));
      });

      // Once is enough: on `host:` each run mounts four times as much.
      test('a chain of 200 runs', { timeout: 120_000, skip: kind === 'host' }, async () => {
        let image = base;
        for (let i = 0; i < 200; i++)
          image = await store.commit(`deep-${i}`, image, root =>
            fs.writeFileSync(path.join(root, `root/${i}`), `${i}`),
          );
        await store.store.settled();
        assert.deepEqual(store.log, []);
        assert.equal(layersOf(image).length, 200 + layersOf(base).length);
        await store.look(image, root => {
          for (let i = 0; i < 200; i++) assert.equal(fs.readFileSync(path.join(root, `root/${i}`), 'utf8'), `${i}`);
        });
      });
    });
  }
}

function seed(root: string): void {
  for (const folder of ['root/a/deep/er', 'root/gone/deep', 'root/swap', 'opt/x', 'etc/many', 'srv'])
    fs.mkdirSync(path.join(root, folder), { recursive: true });
  for (let i = 0; i < 20; i++) {
    fs.writeFileSync(path.join(root, `etc/many/${i}`), `${i}`);
    fs.writeFileSync(path.join(root, `root/gone/deep/${i}`), `${i}`);
  }
  fs.writeFileSync(path.join(root, 'root/a/deep/er/file'), 'deep');
  // Names are bytes.
  fs.mkdirSync(Buffer.concat([Buffer.from(`${root}/root/`), odd]));
  fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/root/`), odd, Buffer.from('/'), odd]), 'odd');
}

const odd = Buffer.from([0x61, 0xff, 0x62]);

/** In turns everything that a layer can do to those below. */
function disturb(root: string, i: number): void {
  const at = (name: string) => path.join(root, name);
  fs.writeFileSync(at(`root/new-${i}`), `${i}`);
  const remove = (name: string) => fs.rmSync(at(name), { recursive: true, force: true });
  const write = (name: string, text: string) => fs.writeFileSync(at(name), text);
  const kinds: readonly (() => void)[] = [
    () => remove(`etc/many/${i % 20}`),
    () => write(`etc/many/${i % 20}`, `again ${i}`),
    () => {
      remove('root/gone');
      fs.mkdirSync(at('root/gone'), { mode: 0o700 });
      write('root/gone/only', `${i}`);
    },
    () => {
      remove('root/swap');
      write('root/swap', 'a file now');
    },
    () => {
      remove('root/swap');
      fs.mkdirSync(at('root/swap/full'), { recursive: true });
      write('root/swap/full/x', 'a folder again');
    },
    () => {
      remove('root/swap');
      fs.symlinkSync('/etc', at('root/swap'));
    },
    () => {
      fs.chmodSync(at('root/a/deep'), 0o700 + (i % 8));
      fs.lchownSync(at('root/a/deep/er/file'), 3, 4);
    },
    () => {
      remove('opt/x');
      fs.mkdirSync(at('opt/x'));
      write(`opt/x/${i}`, '');
    },
    () => {
      write('root/one', 'x');
      remove('root/two');
      fs.linkSync(at('root/one'), at('root/two'));
    },
    () => {
      remove('root/a/deep');
      fs.mkdirSync(at('root/a/deep/er'), { recursive: true });
    },
    () => write('root/a/deep/er/file', `anew ${i}`),
    () => {
      remove('etc/many');
      fs.mkdirSync(at('etc/many'));
      for (let k = 0; k < 20; k += 3) write(`etc/many/${k}`, `third ${i}`);
    },
    () => fs.utimesSync(at('srv'), i, i),
    () => {
      remove('root/swap');
      fs.mkdirSync(at('root/swap'));
    },
  ];
  if (i % 14 === 6 && !fs.existsSync(at('root/a/deep/er/file'))) write('root/a/deep/er/file', '');
  kinds[i % kinds.length]!();
}

async function rootfs(store: StoreInside): Promise<RuntimeImage> {
  const tree = path.join(store.folder, 'tree');
  for (const folder of ['root/gone', 'etc/many', 'opt/x', 'srv', 'root/a'])
    fs.mkdirSync(path.join(tree, folder), { recursive: true });
  for (const name of ['root/gone/base', 'etc/many/base', 'etc/many/3', 'opt/x/base', 'root/a/base'])
    fs.writeFileSync(path.join(tree, name), 'base');
  const tar = execFileSync('tar', ['-c', '-C', tree, '.']);
  const options = { signal: new AbortController().signal, progress: () => {}, total: undefined };
  return { uuid: 'rootfs', data: (await store.imports.importRootfs('rootfs', Readable.from([tar]), options)).data };
}

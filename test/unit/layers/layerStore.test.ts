import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { hostFingerprint, machineFolders } from '../../../src/runtimes/native/hostFingerprint.ts';
import type { RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { inside, runInside } from './insideNamespace.ts';
import { StoreInside } from './storeInside.ts';

if (inside === undefined) {
  test('the layer store, in a namespace', { skip: process.platform !== 'linux' }, async () => {
    process.env.COPPICE_TEST_FINGERPRINT = hostFingerprint(machineFolders('/nowhere'));
    assert.equal(await runInside(fileURLToPath(import.meta.url)), 0);
  });
} else {
  describe('layer store', () => {
    let store: StoreInside;
    let host: RuntimeImage;
    before(async () => {
      store = new StoreInside('host');
      host = await store.host();
    });
    after(() => store.close());

    const changed = async (image: RuntimeImage, write: (root: string) => void) =>
      store.store.changed(await store.run(image, write), image);

    test('host: shows the machine, empty where it is private', async () => {
      await store.look(host, root => {
        assert.ok(fs.existsSync(path.join(root, 'usr/bin/env')));
        assert.ok(fs.existsSync(path.join(root, 'etc/passwd')));
        for (const name of ['home', 'root', 'tmp', 'srv']) assert.deepEqual(fs.readdirSync(path.join(root, name)), []);
        assert.equal(fs.statSync(path.join(root, 'tmp')).mode & 0o7777, 0o1777);
        assert.throws(() => fs.readFileSync(path.join(root, 'etc/shadow')));
      });
    });

    test('the machine is the same, seen from inside and outside', () => {
      assert.equal(hostFingerprint(machineFolders('/nowhere')), process.env.COPPICE_TEST_FINGERPRINT);
      const other = machineFolders('/opt/somewhere/native');
      assert.deepEqual([other.folders.includes('opt'), other.hidden], [false, ['opt']]);
      assert.notEqual(hostFingerprint(other), process.env.COPPICE_TEST_FINGERPRINT);
    });

    test('a run that writes nothing changes nothing', async () => {
      assert.equal(await changed(host, () => {}), false);
      assert.equal(await changed(host, root => fs.readdirSync(path.join(root, 'usr/bin'))), false);
    });

    test('folders that were merely copied up are no change', async () => {
      const there = (name: string) => (root: string) => {
        fs.writeFileSync(path.join(root, name), 'x');
        fs.unlinkSync(path.join(root, name));
      };
      for (const name of ['tmp/x', 'x', 'etc/x', 'usr/local/bin/x', 'var/tmp/x'])
        assert.equal(await changed(host, there(name)), false, name);
    });

    test('every kind of writing is a change', async () => {
      const base = await store.commit('kinds', host, root => {
        fs.mkdirSync(path.join(root, 'root/full/deep'), { recursive: true });
        fs.writeFileSync(path.join(root, 'root/full/file'), 'x');
        fs.mkdirSync(path.join(root, 'root/empty'));
      });
      const full = (root: string) => path.join(root, 'root/full');
      const changes: Record<string, (root: string) => void> = {
        file: root => fs.writeFileSync(path.join(root, 'usr/local/new'), ''),
        link: root => fs.symlinkSync('x', path.join(root, 'etc/link')),
        folder: root => fs.mkdirSync(path.join(root, 'opt/new')),
        removed: root => fs.unlinkSync(path.join(root, 'root/full/file')),
        'machine file removed': root => fs.rmSync(path.join(root, 'etc/os-release')),
        'folder removed': root => fs.rmSync(full(root), { recursive: true }),
        mode: root => fs.chmodSync(full(root), 0o700),
        owner: root => fs.chownSync(full(root), 5, 5),
        'mode of the top': root => fs.chmodSync(path.join(root, 'opt'), 0o700),
        'emptied and made anew': root => {
          fs.rmSync(full(root), { recursive: true });
          fs.mkdirSync(full(root));
        },
        'anew, one missing': root => {
          fs.rmSync(full(root), { recursive: true });
          fs.mkdirSync(path.join(full(root), 'deep'), { recursive: true });
        },
      };
      for (const [name, write] of Object.entries(changes)) assert.equal(await changed(base, write), true, name);
      const touchAndGo = (root: string) => {
        fs.writeFileSync(path.join(full(root), 'x'), '');
        fs.unlinkSync(path.join(full(root), 'x'));
      };
      assert.equal(await changed(base, touchAndGo), false);
      // What was deleted in a layer between and is made again is new, though a layer further down has it.
      const without = await store.commit('without', base, root => fs.rmSync(full(root), { recursive: true }));
      const again = await store.commit('again', without, root => fs.mkdirSync(full(root)));
      assert.equal(await changed(again, root => fs.mkdirSync(path.join(full(root), 'deep'))), true);
      assert.equal(await changed(again, touchAndGo), false);
      assert.equal(await changed(without, root => fs.mkdirSync(full(root))), true);
    });

    test('names that are not text are kept, counted and told', async () => {
      const odd = Buffer.from([0x61, 0xff, 0x62]);
      const at = (root: string) => Buffer.concat([Buffer.from(`${root}/root/`), odd]);
      const one = await store.commit('odd', host, root => {
        fs.mkdirSync(at(root));
        fs.writeFileSync(Buffer.concat([at(root), Buffer.from('/in')]), 'x'.repeat(5000));
      });
      const touched = (root: string) => {
        fs.writeFileSync(Buffer.concat([at(root), Buffer.from('/x')]), '');
        fs.unlinkSync(Buffer.concat([at(root), Buffer.from('/x')]));
      };
      assert.equal(await changed(one, touched), false);
      const paths = (await store.views.diff(host, one, '/')).map(entry => `${entry.path} ${entry.size}`);
      assert.deepEqual(paths, ['/root/a\uFFFDb 0', '/root/a\uFFFDb/in 5000']);
      assert.equal((await store.views.files(one).list('/root')).length, 1);
      assert.equal((await store.views.files(one).glob('/root/**/in')).length, 1);
      const grep = { path: '/root', pattern: 'xxx', ignoreCase: false, glob: undefined, maxTotal: 5 };
      assert.equal((await store.views.files(one).grep(grep)).matches.length, 1);
    });

    test('the mode of a top is kept', async () => {
      const one = await store.commit('top', host, root => fs.chmodSync(path.join(root, 'opt'), 0o700));
      await store.look(one, root => assert.equal(fs.statSync(path.join(root, 'opt')).mode & 0o777, 0o700));
    });

    test('a commit keeps what was written, and only that', async () => {
      const upper = await store.run(host, () => {});
      assert.equal(await store.store.commitUpper('none', upper, host), 'unchanged');
      const one = await store.commit('one', host, root => {
        fs.writeFileSync(path.join(root, 'root/file'), 'x'.repeat(100_000));
        fs.writeFileSync(path.join(root, 'usr/local/bin/tool'), '#!/bin/sh\n', { mode: 0o755 });
      });
      const two = await store.commit('two', one, root => {
        fs.unlinkSync(path.join(root, 'root/file'));
        fs.writeFileSync(path.join(root, 'etc/new'), '2');
      });
      await store.look(one, root => assert.equal(fs.statSync(path.join(root, 'root/file')).size, 100_000));
      await store.look(two, root => {
        assert.equal(fs.existsSync(path.join(root, 'root/file')), false);
        assert.equal(fs.readFileSync(path.join(root, 'etc/new'), 'utf8'), '2');
        assert.ok(fs.existsSync(path.join(root, 'usr/local/bin/tool')));
      });
    });
  });
}

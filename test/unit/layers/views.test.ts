import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CoppiceError, type ErrorCode } from '../../../src/protocol/errors.ts';
import type { RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { inside, runInside } from './insideNamespace.ts';
import { StoreInside } from './storeInside.ts';

if (inside === undefined) {
  test('views, in a namespace', { skip: process.platform !== 'linux' }, async () => {
    assert.equal(await runInside(fileURLToPath(import.meta.url)), 0);
  });
} else {
  describe('views', () => {
    let store: StoreInside;
    let host: RuntimeImage;
    let image: RuntimeImage;
    before(async () => {
      store = new StoreInside('views');
      host = await store.host();
      image = await store.commit('image', host, root => {
        const home = path.join(root, 'root');
        fs.mkdirSync(path.join(home, 'src/deep'), { recursive: true });
        fs.writeFileSync(path.join(home, 'src/main.py'), 'import os\nprint("hello")\n', { mode: 0o755 });
        fs.writeFileSync(path.join(home, 'src/deep/other.py'), 'x = 1\n# Hello again\n');
        fs.writeFileSync(path.join(home, 'src/binary'), Buffer.from([0x68, 0, 0x65]));
        fs.writeFileSync(path.join(home, 'src/odd é name'), 'x');
        fs.symlinkSync('deep', path.join(home, 'src/link'));
        fs.symlinkSync('/etc', path.join(home, 'etc'));
        fs.symlinkSync(path.join(inside!, 'views'), path.join(home, 'out'));
        execFileSync('mkfifo', [path.join(home, 'fifo')]);
      });
    });
    after(() => store.close());

    const files = () => store.views.files(image);

    test('lists and states', async () => {
      const entries = await files().list('/root/src');
      assert.deepEqual(
        entries.map(entry => [entry.name, entry.type]),
        [
          ['binary', 'file'],
          ['deep', 'directory'],
          ['link', 'link'],
          ['main.py', 'file'],
          ['odd é name', 'file'],
        ],
      );
      const main = await files().stat('/root/src/main.py');
      assert.deepEqual([main.path, main.size, main.mode], ['/root/src/main.py', 25, 0o755]);
      assert.equal((await files().stat('/root/src/link')).link, 'deep');
      assert.deepEqual(
        (await files().list('/root/src/link')).map(entry => entry.path),
        ['/root/src/link/other.py'],
      );
      assert.ok((await files().list('/')).some(entry => entry.name === 'usr'));
      assert.ok((await files().list('/usr/bin')).length > 50);
    });

    test('reads in pages', async () => {
      assert.equal((await files().read('/root/src/main.py', 0, 1000)).bytes.toString(), 'import os\nprint("hello")\n');
      const page = await files().read('/root/src/main.py', 7, 2);
      assert.deepEqual([page.bytes.toString(), page.size], ['os', 25]);
      assert.equal((await files().read('/root/src/main.py', 1000, 10)).bytes.length, 0);
      assert.equal(
        (await files().read('/root/etc/os-release', 0, 1000)).bytes.toString(),
        fs.readFileSync('/etc/os-release', 'utf8').slice(0, 1000),
      );
    });

    test('refuses with a reason', async () => {
      const code = (code: ErrorCode) => (error: unknown) => error instanceof CoppiceError && error.code === code;
      await assert.rejects(files().read('/root/nothing', 0, 1), code('path_not_found'));
      await assert.rejects(files().read('/root/out/views', 0, 1), code('path_not_found'));
      await assert.rejects(files().list('/root/out'), code('path_not_found'));
      await assert.rejects(files().read('/root/fifo', 0, 1), code('not_a_file'));
      await assert.rejects(files().read('/root', 0, 1), code('not_a_file'));
      await assert.rejects(files().list('/root/src/main.py'), code('not_a_directory'));
      await assert.rejects(files().read('/etc/shadow', 0, 1), code('path_not_found'));
      await assert.rejects(grep('('), code('invalid_input'));
      await assert.rejects(
        store.views.files({ uuid: 'x', data: { layers: ['../../etc'], host: false } }).list('/'),
        code('image_not_found'),
      );
      await assert.rejects(
        store.views.files({ uuid: 'x', data: { layers: ['l0000000'], host: false } }).list('/'),
        code('image_not_found'),
      );
    });

    test('globs', async () => {
      const paths = async (pattern: string) => (await files().glob(pattern)).map(entry => entry.path);
      assert.deepEqual(await paths('/root/**/*.py'), ['/root/src/deep/other.py', '/root/src/main.py']);
      assert.deepEqual(await paths('/root/src/*.py'), ['/root/src/main.py']);
      assert.deepEqual(await paths('/root/src/link/*'), ['/root/src/link/other.py']);
      assert.deepEqual(await paths('/root/*/other.py'), []);
      assert.deepEqual(await paths('/root/out/*'), []);
      assert.deepEqual(await paths('/root/src/main.py'), ['/root/src/main.py']);
      assert.deepEqual(await paths('/nowhere/*'), []);
    });

    const grep = (pattern: string, more: object = {}) =>
      files().grep({ path: '/root', pattern, ignoreCase: false, glob: undefined, maxTotal: 100, ...more });

    test('greps', async () => {
      assert.deepEqual(await grep('hel+o', { ignoreCase: true }), {
        matches: [
          { path: '/root/src/deep/other.py', line: 2, text: '# Hello again' },
          { path: '/root/src/main.py', line: 2, text: 'print("hello")' },
        ],
        truncated: false,
        filesSearched: 3,
      });
      const one = await grep('.', { maxTotal: 1 });
      assert.deepEqual([one.matches.length, one.truncated], [1, true]);
      assert.equal((await grep('import', { glob: 'm*.py' })).matches.length, 1);
      assert.equal((await grep('.', { glob: 'src/deep/*' })).matches.length, 2);
      assert.equal((await grep('import', { path: '/root/src/main.py' })).matches.length, 1);
    });

    test('a pattern that never ends is ended', { timeout: 20_000 }, async () => {
      const evil = await store.commit('evil', host, root =>
        fs.writeFileSync(path.join(root, 'root/evil'), `${'a'.repeat(60)}!`),
      );
      const started = performance.now();
      let ticks = 0;
      const ticking = setInterval(() => ticks++, 50);
      await assert.rejects(
        store.views
          .files(evil)
          .grep({ path: '/root', pattern: '^(a+)+$', ignoreCase: false, glob: undefined, maxTotal: 1 }),
        error => error instanceof CoppiceError && error.code === 'timeout',
      );
      clearInterval(ticking);
      assert.ok(performance.now() - started < 10_000 && ticks > 40, 'the host answered meanwhile');
    });

    test('archives', async () => {
      const list = async (name: string) => {
        const server = net.createServer({ allowHalfOpen: true });
        const socket = path.join(inside!, 's.sock');
        await new Promise<void>(resolve => server.listen(socket, resolve));
        const accepted = new Promise<net.Socket>(resolve => server.once('connection', resolve));
        const client = net.connect(socket);
        const chunks: Buffer[] = [];
        client.on('data', chunk => chunks.push(chunk));
        const closed = new Promise(resolve => client.on('close', resolve));
        await files().archive(name, await accepted);
        await closed;
        server.close();
        return execFileSync('tar', ['--quoting-style=literal', '-tf', '-'], { input: Buffer.concat(chunks) })
          .toString()
          .trim()
          .split('\n')
          .sort();
      };
      assert.deepEqual(await list('/root/src/main.py'), ['main.py']);
      assert.deepEqual(await list('/root/src'), [
        'src/',
        'src/binary',
        'src/deep/',
        'src/deep/other.py',
        'src/link',
        'src/main.py',
        'src/odd é name',
      ]);
      assert.deepEqual(await list('/root/src/link/other.py'), ['other.py']);
    });

    test('diffs', async () => {
      const child = await store.commit('child', image, root => {
        const src = path.join(root, 'root/src');
        fs.writeFileSync(path.join(src, 'new'), '12345');
        fs.chmodSync(path.join(src, 'main.py'), 0o644);
        fs.unlinkSync(path.join(src, 'binary'));
        fs.rmSync(path.join(src, 'deep'), { recursive: true });
        fs.mkdirSync(path.join(src, 'deep'));
        fs.unlinkSync(path.join(src, 'link'));
        fs.mkdirSync(path.join(src, 'link'));
        fs.writeFileSync(path.join(src, 'link/in'), '1');
        fs.writeFileSync(path.join(root, 'etc/touched'), '');
        fs.unlinkSync(path.join(root, 'etc/touched'));
        fs.appendFileSync(path.join(root, 'usr/local/made'), 'x');
      });
      const short = (entries: readonly { change: string; path: string; size: number; size_before: number }[]) =>
        entries.map(entry => `${entry.change} ${entry.path} ${entry.size_before} ${entry.size}`);
      const expected = [
        'D /root/src/binary 3 0',
        'D /root/src/deep/other.py 20 0',
        'D /root/src/link 0 0',
        'A /root/src/link 0 0',
        'A /root/src/link/in 0 1',
        'M /root/src/main.py 25 25',
        'A /root/src/new 0 5',
        'A /usr/local/made 0 1',
      ];
      assert.deepEqual(short(await store.views.diff(image, child, '/')), expected);
      assert.deepEqual(short(await store.views.diff(image, child, '/usr')), expected.slice(7));
      assert.deepEqual(short(await store.views.diff(image, child, '/root/src/new')), ['A /root/src/new 0 5']);
      assert.deepEqual(await store.views.diff(image, child, '/usr/bin'), []);
      assert.deepEqual(await store.views.diff(image, image, '/'), []);
      await assert.rejects(store.views.diff(image, child, '/nowhere'));
      const back = short(await store.views.diff(child, image, '/'));
      assert.deepEqual(
        back.sort(),
        expected
          .map(line => line.split(' '))
          .map(([change, name, one, two]) => `${{ A: 'D', D: 'A', M: 'M' }[change!]} ${name} ${two} ${one}`)
          .sort(),
      );
      const sibling = await store.commit('sibling', image, root => {
        fs.rmSync(path.join(root, 'root/src'), { recursive: true });
        fs.mkdirSync(path.join(root, 'root/src'));
        fs.writeFileSync(path.join(root, 'root/src/new'), '12');
      });
      const between = short(await store.views.diff(sibling, child, '/root'));
      assert.ok(between.includes('M /root/src/new 2 5'));
      assert.ok(between.includes('A /root/src/main.py 0 25'));
      assert.ok(between.includes('A /root/src/odd é name 0 1'));
    });

    test('keeps no more than 32 mounted, and none that is forgotten', async () => {
      const mounts = () => fs.readFileSync('/proc/self/mounts', 'utf8').split(` ${store.folder}/views/`).length - 1;
      let last = image;
      for (let i = 0; i < 40; i++) {
        last = await store.commit(`many-${i}`, last, root => fs.writeFileSync(path.join(root, `root/${i}`), ''));
        await store.views.files(last).stat('/root');
      }
      await new Promise(resolve => setTimeout(resolve, 300));
      const perView = 1 + store.store.prepare(last).tops.length;
      assert.ok(mounts() <= 33 * perView, `${mounts()} mounts`);
      await store.store.removeImage(last, []);
      for (let tries = 0; mounts() > perView && tries < 50; tries++)
        await new Promise(resolve => setTimeout(resolve, 100));
      assert.ok(mounts() <= perView, `${mounts()} mounts left`);
      assert.deepEqual(store.log, []);
    });
  });
}

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { pack } from 'tar-stream';
import { download } from '../../../src/engine/artifacts/download.ts';
import { readFile } from '../../../src/engine/artifacts/readFile.ts';
import { CoppiceError, type ErrorCode } from '../../../src/protocol/errors.ts';
import type { FileEntry } from '../../../src/protocol/schemas/files.ts';
import type { VerbResult } from '../../../src/protocol/verbs.ts';
import type { ImageFiles } from '../../../src/runtimes/runtime.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';
import { call } from './parts.ts';

interface Item {
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'character-device' | 'fifo';
  readonly content?: string;
  readonly target?: string;
  readonly mode?: number;
  readonly mtime?: Date;
}

const MTIME = new Date('2020-02-02T02:02:02Z');

let machine: TemporaryFolder;
let out: string;
let home: string;

beforeEach(() => {
  machine = new TemporaryFolder();
  out = machine.join('work', 'out');
  home = machine.join('home');
  fs.mkdirSync(machine.join('work'));
  fs.mkdirSync(home);
});
afterEach(() => machine[Symbol.dispose]());

function entry(name: string, more: Partial<FileEntry> = {}): FileEntry {
  return {
    path: name,
    name: path.posix.basename(name),
    type: 'directory',
    size: 0,
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: MTIME.toISOString(),
    link: null,
    ...more,
  };
}

async function tarOf(items: readonly Item[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, type = 'file', content = '', target, mode, mtime = MTIME } of items)
    archive.entry(
      { name, type, mtime, mode: mode ?? 0o644, ...(target === undefined ? {} : { linkname: target }) },
      content,
    );
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** An image that answers with whatever tar we want. */
function image(parts: Partial<ImageFiles>): ImageFiles {
  const missing = async (name: string) => {
    throw new CoppiceError('path_not_found', `no ${name}`);
  };
  return {
    stat: missing,
    list: missing,
    read: missing,
    glob: async () => [],
    grep: async () => ({ matches: [], truncated: false, filesSearched: 0 }),
    archive: missing,
    ...parts,
  } as ImageFiles;
}

/** A folder /app with this in it. */
async function folder(items: readonly Item[]): Promise<ImageFiles> {
  const tar = await tarOf([{ name: 'app/', type: 'directory', mode: 0o750 }, ...items]);
  return image({ stat: async () => entry('/app'), archive: async () => Readable.from([tar]) });
}

const content = (text: string): Pick<ImageFiles, 'read'> => ({
  read: async () => ({ bytes: Buffer.from(text), size: Buffer.byteLength(text) }),
});

function file(text: string, mode = 0o644): ImageFiles {
  return image({ stat: async () => entry('/bin/tool', { type: 'file', size: text.length, mode }), ...content(text) });
}

interface Options {
  readonly path?: string;
  readonly to?: string;
  readonly executable?: boolean;
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

function get(files: ImageFiles, options: Options = {}): Promise<VerbResult<'download'>> {
  const { path: asked = '/app', to = out, executable = false, overwrite = true } = options;
  const request = { image: 'i', path: asked, destination: to, executable, overwrite };
  return download(files, home, request, call('client', options.signal));
}

const failsWith =
  (code: ErrorCode, message = /./) =>
  (error: unknown) =>
    error instanceof CoppiceError && error.code === code && message.test(error.message);

/** Every name below a folder, so that anything unexpected shows. */
const tree = (below: string): string[] => fs.readdirSync(below, { recursive: true }).map(String).sort();
const read = (...steps: string[]): string => fs.readFileSync(path.join(out, ...steps), 'utf8');
const modeOf = (place: string): number => fs.lstatSync(place).mode & 0o7777;

describe('download of a folder', () => {
  test('content, modes, times, links, empty folders', async () => {
    const files = await folder([
      { name: 'app/a.txt', content: 'A', mode: 0o640 },
      { name: 'app/run', content: '#!', mode: 0o755 },
      { name: 'app/deep/', type: 'directory', mode: 0o700 },
      { name: 'app/deep/er/b', content: 'B' },
      { name: 'app/empty/', type: 'directory', mode: 0o555 },
      { name: 'app/deep/link', type: 'symlink', target: '../a.txt' },
      { name: 'app/a second name', type: 'link', target: 'app/a.txt' },
    ]);
    const result = await get(files);
    assert.deepEqual(result, { destination: out, files: 4, size: 5, executable: false, skipped: [] });
    assert.deepEqual(tree(out), [
      'a second name',
      'a.txt',
      'deep',
      'deep/er',
      'deep/er/b',
      'deep/link',
      'empty',
      'run',
    ]);
    assert.equal(read('a.txt') + read('deep', 'er', 'b') + read('deep', 'link'), 'ABA');
    assert.equal(fs.readlinkSync(path.join(out, 'deep', 'link')), '../a.txt');
    for (const [name, mode] of [
      ['', 0o750],
      ['a.txt', 0o640],
      ['run', 0o755],
      ['deep', 0o700],
      ['empty', 0o555],
    ] as const)
      assert.equal(modeOf(path.join(out, name)), mode, name);
    for (const name of ['', 'a.txt', 'deep', 'empty'])
      assert.equal(fs.statSync(path.join(out, name)).mtime.getTime(), MTIME.getTime(), name);
    fs.writeFileSync(path.join(out, 'a second name'), 'changed');
    assert.equal(read('a.txt'), 'A', 'a second name is a copy');
  });

  test('parents are made, nothing else is left beside it', async () => {
    await get(await folder([{ name: 'app/x', content: 'x' }]), { to: machine.join('work', 'new', 'er', 'out') });
    assert.deepEqual(tree(machine.join('work')), ['new', 'new/er', 'new/er/out', 'new/er/out/x']);
    assert.equal(modeOf(machine.join('work', 'new')) & 0o700, 0o700);
  });

  test('merges into a folder that is there, and replaces what has the same name', async () => {
    fs.mkdirSync(path.join(out, 'deep'), { recursive: true });
    fs.writeFileSync(path.join(out, 'mine'), 'mine');
    fs.writeFileSync(path.join(out, 'deep', 'x'), 'old');
    const files = () =>
      folder([
        { name: 'app/deep/x', content: 'new' },
        { name: 'app/deep/more/y', content: 'y' },
      ]);
    await assert.rejects(get(await files(), { overwrite: false }), failsWith('already_exists', /deep\/x/));
    assert.deepEqual(tree(out), ['deep', 'deep/x', 'mine'], 'refused: nothing came');
    await get(await files());
    assert.deepEqual(tree(out), ['deep', 'deep/more', 'deep/more/y', 'deep/x', 'mine']);
    assert.equal(read('mine') + read('deep', 'x'), 'minenew');
  });

  test('a folder in the place of a file, or a link in the place of a folder, is refused before anything moves', async () => {
    fs.mkdirSync(out);
    fs.mkdirSync(machine.join('elsewhere'));
    const files = await folder([
      { name: 'app/a', content: 'a' },
      { name: 'app/z/file', content: 'z' },
    ]);
    fs.writeFileSync(path.join(out, 'z'), 'a file');
    await assert.rejects(get(files), failsWith('already_exists', /a folder is to be put there/));
    fs.rmSync(path.join(out, 'z'));
    fs.symlinkSync(machine.join('elsewhere'), path.join(out, 'z'));
    await assert.rejects(
      get(await folder([{ name: 'app/z/file', content: 'z' }])),
      failsWith('already_exists', /a link/),
    );
    assert.deepEqual(tree(out), ['z']);
    assert.deepEqual(tree(machine.join('elsewhere')), []);
  });

  test('set-uid and set-gid stay behind; executable marks every file', async () => {
    await get(
      await folder([
        { name: 'app/su', mode: 0o6755 },
        { name: 'app/plain', mode: 0o640 },
      ]),
      { executable: true },
    );
    assert.equal(modeOf(path.join(out, 'su')), 0o755);
    assert.equal(modeOf(path.join(out, 'plain')), 0o750);
  });

  test('names in any encoding', { skip: process.platform !== 'linux' }, async () => {
    const name = Buffer.from('app/na\xefve \u00e9.txt', 'latin1');
    const tar = await tarOf([
      { name: 'app/', type: 'directory' },
      { name: 'app/żółw', content: 'pl' },
      { name: 'X'.repeat(name.length), content: 'l' },
    ]);
    name.copy(tar, tar.indexOf('X'.repeat(name.length)));
    fixChecksums(tar);
    await get(image({ stat: async () => entry('/app'), archive: async () => Readable.from([tar]) }));
    const names = fs
      .readdirSync(out, { encoding: 'buffer' })
      .map(found => found.toString('latin1'))
      .sort();
    assert.deepEqual(names, [Buffer.from('żółw').toString('latin1'), name.subarray(4).toString('latin1')].sort());
  });
});

describe('a hostile image', () => {
  const hostile: readonly (readonly [string, readonly Item[]])[] = [
    ['..', [{ name: 'app/../../evil', content: 'x' }]],
    ['a name that is only ..', [{ name: '../evil', content: 'x' }]],
    ['an absolute name', [{ name: '/tmp/coppice-evil', content: 'x' }]],
    ['a name beside the folder', [{ name: 'other/evil', content: 'x' }]],
    ['a link outside', [{ name: 'app/l', type: 'symlink', target: '/etc/passwd' }]],
    ['a link above', [{ name: 'app/l', type: 'symlink', target: '../../secret' }]],
    ['a link whose way leads outside and back', [{ name: 'app/l', type: 'symlink', target: '../out/x' }]],
    ['a device', [{ name: 'app/null', type: 'character-device' }]],
    ['a pipe', [{ name: 'app/pipe', type: 'fifo' }]],
    ['a second name of a file outside', [{ name: 'app/h', type: 'link', target: '../../secret' }]],
    ['a second name of a missing file', [{ name: 'app/h', type: 'link', target: 'app/nothing' }]],
    ['a huge name', [{ name: `app/${'n'.repeat(300)}`, content: 'x' }]],
    ['a huge path', [{ name: `app/${'n/'.repeat(2500)}x`, content: 'x' }]],
    ['an empty link', [{ name: 'app/l', type: 'symlink', target: '' }]],
  ];
  for (const [what, items] of hostile) {
    test(`${what} is skipped and listed`, async () => {
      fs.writeFileSync(machine.join('work', 'secret'), 'secret');
      const result = await get(await folder([...items, { name: 'app/good', content: 'good' }]));
      assert.equal(result.skipped.length, 1, String(result.skipped));
      assert.equal(result.files, 1);
      const found = tree(out).filter(name => !/^n(\/n)*$/.test(name));
      assert.deepEqual(found, ['good']);
      assert.deepEqual(fs.readdirSync(machine.join('work')).sort(), ['out', 'secret']);
      assert.ok(!fs.existsSync('/tmp/coppice-evil'));
    });
  }

  test('a link, then a file through it', async () => {
    fs.mkdirSync(machine.join('elsewhere'));
    const result = await get(
      await folder([
        { name: 'app/l', type: 'symlink', target: machine.join('elsewhere') },
        { name: 'app/l/evil', content: 'x' },
        { name: 'app/in', type: 'symlink', target: 'real' },
        { name: 'app/in/evil', content: 'x' },
        { name: 'app/real/', type: 'directory' },
      ]),
    );
    assert.deepEqual(tree(machine.join('elsewhere')), []);
    assert.deepEqual(tree(out), ['in', 'real']);
    assert.deepEqual(result.skipped.sort(), ['/app/in/evil', '/app/l', '/app/l/evil']);
  });

  test('a file, then a link in its place, then a folder in its place', async () => {
    const result = await get(
      await folder([
        { name: 'app/f', content: 'first' },
        { name: 'app/f', type: 'symlink', target: '/etc' },
        { name: 'app/f', content: 'second' },
        { name: 'app/f/', type: 'directory' },
        { name: 'app/f/evil', content: 'x' },
      ]),
    );
    assert.equal(read('f'), 'first');
    assert.equal(result.skipped.length, 4);
  });

  test('links that lead outside only together', async () => {
    const result = await get(
      await folder([
        { name: 'app/a/b/c/up', type: 'symlink', target: '../../..' },
        { name: 'app/out', type: 'symlink', target: 'a/b/c/up/../secret' },
        { name: 'app/ok', type: 'symlink', target: 'a/b/c/up/a' },
        { name: 'app/loop', type: 'symlink', target: 'loop' },
        { name: 'app/a/b/c/', type: 'directory' },
      ]),
    );
    assert.deepEqual(result.skipped.sort(), ['/app/loop', '/app/out']);
    assert.equal(fs.realpathSync(path.join(out, 'ok')), fs.realpathSync(path.join(out, 'a')));
  });

  test('a link that was there before is never written through', async () => {
    fs.mkdirSync(out);
    fs.writeFileSync(machine.join('precious'), 'precious');
    fs.symlinkSync(machine.join('precious'), path.join(out, 'f'));
    await get(await folder([{ name: 'app/f', content: 'new' }]));
    assert.equal(read('f'), 'new');
    assert.equal(fs.readFileSync(machine.join('precious'), 'utf8'), 'precious');
  });
});

describe('a download that does not finish leaves nothing', () => {
  const big = () =>
    folder([
      { name: 'app/deep/a', content: 'a'.repeat(100_000) },
      { name: 'app/b', content: 'b'.repeat(100_000) },
    ]);
  const untouched = () => assert.deepEqual(tree(machine.join('work')), []);

  test('a tar that breaks off, anywhere', async () => {
    const whole = await tarOf([
      { name: 'app/', type: 'directory' },
      { name: 'app/a', content: 'a'.repeat(600) },
    ]);
    for (const length of [0, 300, 512, 1024, 1500, 2048, 2048 + 512, whole.length - 1]) {
      const files = image({
        stat: async () => entry('/app'),
        archive: async () => Readable.from([whole.subarray(0, length)]),
      });
      await assert.rejects(get(files), `cut at ${length}`);
      untouched();
    }
  });

  test('a stream that fails', async () => {
    const tar = await tarOf([
      { name: 'app/', type: 'directory' },
      { name: 'app/a', content: 'a'.repeat(6000) },
    ]);
    const failing = async function* () {
      yield tar.subarray(0, 3000);
      throw new CoppiceError('runtime_unavailable', 'the host died');
    };
    const files = image({ stat: async () => entry('/app'), archive: async () => Readable.from(failing()) });
    await assert.rejects(get(files, { to: machine.join('work', 'new', 'out') }), failsWith('runtime_unavailable'));
    untouched();
  });

  test('cancelled', async () => {
    const abort = new AbortController();
    const files = await big();
    const tar = await files.archive('/app');
    const slow = async function* () {
      for await (const chunk of tar) {
        yield (chunk as Buffer).subarray(0, 50_000);
        abort.abort();
        yield (chunk as Buffer).subarray(50_000);
      }
    };
    const slowly = image({ stat: async () => entry('/app'), archive: async () => Readable.from(slow()) });
    await assert.rejects(get(slowly, { signal: abort.signal }), { name: 'AbortError' });
    untouched();
  });

  test('no tar at all', async () => {
    const files = image({
      stat: async () => entry('/app'),
      archive: async () => Readable.from([Buffer.alloc(4096, 'x')]),
    });
    await assert.rejects(get(files));
    untouched();
  });
});

describe('download of a file', () => {
  test('to a new name, with parents', async () => {
    const to = machine.join('work', 'a', 'b', 'mine');
    const result = await get(file('content', 0o644), { path: '/bin/tool', to });
    assert.deepEqual(result, { destination: to, files: 1, size: 7, executable: false, skipped: [] });
    assert.equal(fs.readFileSync(to, 'utf8'), 'content');
    assert.equal(fs.statSync(to).mtime.getTime(), MTIME.getTime());
    assert.deepEqual(tree(machine.join('work')), ['a', 'a/b', 'a/b/mine']);
  });

  test('into a folder that is there, or that is named with a slash', async () => {
    fs.mkdirSync(out);
    assert.equal((await get(file('1'), { path: '/bin/tool', to: out })).destination, path.join(out, 'tool'));
    const later = machine.join('work', 'later');
    assert.equal((await get(file('1'), { path: '/bin/tool', to: `${later}/` })).destination, path.join(later, 'tool'));
  });

  test('a large one comes as a stream; one that tar left out is private', async () => {
    const large = entry('/bin/tool', { type: 'file', size: 2_000_000 });
    const tar = (items: readonly Item[]) =>
      image({ stat: async () => large, archive: async () => Readable.from([await tarOf(items)]) });
    const result = await get(tar([{ name: 'tool', content: 'x'.repeat(2_000_000) }]), { path: '/bin/tool' });
    assert.deepEqual([result.files, result.size], [1, 2_000_000]);
    await assert.rejects(get(tar([]), { path: '/bin/tool' }), failsWith('path_not_found', /private/));
  });

  test('executable', async () => {
    const plain = await get(file('1', 0o640), { path: '/bin/tool', executable: true });
    assert.equal(plain.executable, true);
    assert.equal(modeOf(out), 0o750);
    assert.equal((await get(file('1', 0o755), { path: '/bin/tool' })).executable, true);
  });

  test('overwrite: replaced whole, or refused', async () => {
    fs.writeFileSync(out, 'old');
    await assert.rejects(get(file('new'), { path: '/bin/tool', overwrite: false }), failsWith('already_exists'));
    assert.equal(fs.readFileSync(out, 'utf8'), 'old');
    await get(file('new'), { path: '/bin/tool' });
    assert.equal(fs.readFileSync(out, 'utf8'), 'new');
    assert.deepEqual(fs.readdirSync(machine.join('work')), ['out']);
    await get(file('new'), { path: '/bin/tool', to: `${out}2`, overwrite: false });
  });

  test('through a link of the user, never onto a device or a folder', async () => {
    fs.writeFileSync(machine.join('real'), 'old');
    fs.symlinkSync(machine.join('real'), out);
    assert.equal((await get(file('new'), { path: '/bin/tool' })).destination, machine.join('real'));
    assert.equal(fs.readlinkSync(out), machine.join('real'));
    assert.equal(fs.readFileSync(out, 'utf8'), 'new');
    await assert.rejects(get(file('new'), { path: '/bin/tool', to: '/dev/null' }), failsWith('not_a_file'));
    fs.mkdirSync(machine.join('work', 'dir', 'tool'), { recursive: true });
    await assert.rejects(
      get(file('new'), { path: '/bin/tool', to: machine.join('work', 'dir') }),
      failsWith('already_exists'),
    );
    await assert.rejects(
      get(file('new'), { path: '/bin/tool', to: machine.join('real', 'below') }),
      failsWith('not_a_directory'),
    );
  });

  test('a link is followed inside the image', async () => {
    const files = image({
      stat: async name =>
        name === '/bin/link'
          ? entry('/bin/link', { type: 'link', link: '../lib/real' })
          : entry(name, { type: name === '/lib/real' ? 'file' : 'link', link: name }),
      read: async name => {
        assert.equal(name, '/lib/real');
        return { bytes: Buffer.from('real'), size: 4 };
      },
    });
    assert.equal((await get(files, { path: '/bin/link', to: `${out}/` })).destination, path.join(out, 'link'));
    await assert.rejects(get(files, { path: '/loop' }), failsWith('path_not_found', /links/));
  });

  test('never into the engine’s own folder, by no way', async () => {
    fs.symlinkSync(home, machine.join('alias'));
    for (const to of [home, `${home}/x`, machine.join('alias', 'store', 'y'), machine.join('work', '..', 'home', 'z')])
      await assert.rejects(get(file('x'), { path: '/bin/tool', to }), failsWith('invalid_input', /own folder/));
    const into = await folder([{ name: 'app/home/store', content: 'x' }]);
    await assert.rejects(get(into, { to: machine.path }), failsWith('invalid_input', /own folder/));
    assert.deepEqual(tree(home), []);
  });
});

describe('download of a glob', () => {
  const matches = [
    entry('/app/a.log', { type: 'file', size: 1, mode: 0o640 }),
    entry('/app/sub/b.log', { type: 'file', size: 2 }),
    entry('/app/sub/c.log', { type: 'link', link: 'b.log' }),
    entry('/app/out.log', { type: 'link', link: '/var/log/x' }),
    entry('/app/dev.log', { type: 'other' }),
  ];
  const logs = image({
    glob: async () => matches,
    read: async (_name, _offset, length) => ({ bytes: Buffer.alloc(length, 'l'), size: length }),
  });

  test('what matches lies below the plain start of the pattern', async () => {
    const result = await get(logs, { path: '/app/**/*.log' });
    assert.deepEqual(result, {
      destination: out,
      files: 2,
      size: 3,
      executable: false,
      skipped: ['/app/dev.log', '/app/out.log'],
    });
    assert.deepEqual(tree(out), ['a.log', 'sub', 'sub/b.log', 'sub/c.log']);
    assert.equal(modeOf(path.join(out, 'a.log')), 0o640);
  });

  test('a folder that matches comes once, with everything in it', async () => {
    const tar = await tarOf([
      { name: 'sub/', type: 'directory' },
      { name: 'sub/b', content: 'b' },
    ]);
    const archived: string[] = [];
    const files = image({
      glob: async () => [entry('/app/sub'), entry('/app/sub/b', { type: 'file', size: 1 })],
      archive: async name => {
        archived.push(name);
        return Readable.from([tar]);
      },
    });
    await get(files, { path: '/app/*' });
    assert.deepEqual(archived, ['/app/sub']);
    assert.deepEqual(tree(out), ['sub', 'sub/b']);
  });

  test('a name with wild characters that exists is that name; nothing that matches is an error', async () => {
    const files = image({ stat: async name => entry(name, { type: 'file', size: 3 }), ...content('one') });
    await get(files, { path: '/app/a[1].txt' });
    assert.equal(fs.readFileSync(out, 'utf8'), 'one');
    await assert.rejects(get(image({}), { path: '/app/*.none' }), failsWith('path_not_found', /matches/));
    await assert.rejects(get(image({}), { path: '/app/none' }), failsWith('path_not_found'));
  });
});

describe('read_file', () => {
  const request = { image: 'i', path: '/f', offset: 0, length: 65_536, encoding: 'auto' } as const;
  const of = (bytes: Buffer) =>
    image({
      read: async (_name, offset, length) => ({ bytes: bytes.subarray(offset, offset + length), size: bytes.length }),
    });

  test('text where it is UTF-8, base64 else', async () => {
    assert.equal((await readFile(of(Buffer.from('żółw\n')), 'i', request)).content, 'żółw\n');
    for (const bytes of [Buffer.from([0xff, 0xfe]), Buffer.from('a\0b'), Buffer.from([0x61, 0xc3])]) {
      const result = await readFile(of(bytes), 'i', request);
      assert.deepEqual([result.encoding, Buffer.from(result.content, 'base64')], ['base64', bytes]);
    }
    const empty = await readFile(of(Buffer.alloc(0)), 'i', request);
    assert.deepEqual([empty.encoding, empty.content, empty.eof], ['text', '', true]);
  });

  test('pages never split a character, always move on, and together are the file', async () => {
    const text = 'aé€😀żx\n'.repeat(5);
    for (const length of [1, 2, 3, 4, 5, 7, 11]) {
      let all = '';
      for (let offset = 0, eof = false; !eof; ) {
        const page = await readFile(of(Buffer.from(text)), 'i', { ...request, offset, length });
        assert.equal(page.encoding, 'text');
        assert.ok(page.next_offset > offset);
        assert.ok(!page.content.includes('\ufffd'));
        all += page.content;
        offset = page.next_offset;
        eof = page.eof;
      }
      assert.equal(all, text, `pages of ${length}`);
    }
  });

  test('an offset inside a character starts at the next one; one behind the end is the end', async () => {
    const page = await readFile(of(Buffer.from('€uro')), 'i', { ...request, offset: 1 });
    assert.deepEqual([page.content, page.offset, page.eof], ['uro', 3, true]);
    const behind = await readFile(of(Buffer.from('x')), 'i', { ...request, offset: 9 });
    assert.deepEqual([behind.content, behind.eof], ['', true]);
  });

  test('asked for base64, a page is as long as was asked for', async () => {
    const page = await readFile(of(Buffer.from('€uro')), 'i', { ...request, length: 2, encoding: 'base64' });
    assert.deepEqual([page.next_offset, Buffer.from(page.content, 'base64').length, page.eof], [2, 2, false]);
  });
});

/** After a name was changed in place. */
function fixChecksums(tar: Buffer): void {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    if (tar.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    tar.fill(' ', at + 148, at + 156);
    let sum = 0;
    for (const byte of tar.subarray(at, at + 512)) sum += byte;
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  }
}

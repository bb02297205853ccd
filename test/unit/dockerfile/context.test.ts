import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { contextTar, readIgnoreFile } from '../../../src/runtimes/dockerfile/context.ts';
import { Dockerignore } from '../../../src/runtimes/dockerfile/dockerignore.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

/** Read back by tar itself. */

let folder: TemporaryFolder;
beforeEach(() => {
  folder = new TemporaryFolder();
  mkdirSync(folder.join('context'));
});
afterEach(() => folder[Symbol.dispose]());

const put = (name: string, content: string | Buffer) => writeFileSync(folder.join('context', name), content);
const tarring = (ignore = '', own = new Map<string, Buffer>()) =>
  contextTar({ folder: folder.join('context'), ignore: Dockerignore.parse(ignore), own, sent: () => {} });

async function tarred(...given: Parameters<typeof tarring>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of tarring(...given)) pieces.push(piece);
  return Buffer.concat(pieces);
}
const listed = (tar: Buffer, ...more: string[]): string[] =>
  execFileSync('tar', ['-t', ...more, '--quoting-style=literal'], { input: tar, encoding: 'utf8' })
    .split('\n')
    .filter(Boolean);

describe('the folder of a build', () => {
  it('is root’s files with their modes, and links as links, wherever they lead', async () => {
    writeFileSync(folder.join('secret'), 'SECRET');
    mkdirSync(folder.join('context/sub'));
    put('sub/ä', 'x');
    chmodSync(folder.join('context/sub/ä'), 0o751);
    symlinkSync('../secret', folder.join('context/out'));
    symlinkSync('/etc', folder.join('context/etc'));
    symlinkSync('loop', folder.join('context/loop'));
    symlinkSync('x'.repeat(150), folder.join('context/long'));
    mkdirSync(folder.join('context', 'y'.repeat(120)));
    execFileSync('mkfifo', [folder.join('context/pipe')]);
    const tar = await tarred('', new Map([['Own', Buffer.from('own')]]));
    assert.ok(!tar.includes('SECRET') && !tar.includes('root:x:'));
    assert.deepEqual(
      listed(tar, '-v', '--numeric-owner').map(line => line.replace(/^(\S+ \S+) +\d+ \S+ \S+/, '$1')),
      [
        '-rw-r--r-- 0/0 Own',
        'lrwxrwxrwx 0/0 etc -> /etc',
        `lrwxrwxrwx 0/0 long -> ${'x'.repeat(150)}`,
        'lrwxrwxrwx 0/0 loop -> loop',
        'lrwxrwxrwx 0/0 out -> ../secret',
        'drwxr-xr-x 0/0 sub/',
        '-rwxr-x--x 0/0 sub/ä',
        `drwxr-xr-x 0/0 ${'y'.repeat(120)}/`,
      ],
    );
  });

  it('is never read through a folder that became a link meanwhile', async () => {
    mkdirSync(folder.join('outside'));
    for (const name of ['a', 'b']) writeFileSync(folder.join('outside', name), 'SECRET');
    mkdirSync(folder.join('context/sub'));
    for (const name of ['a', 'b']) put(`sub/${name}`, 'fine');
    let all = '';
    for await (const piece of tarring()) {
      all += piece.toString('latin1');
      if (!all.includes('sub/a') || all.includes('moved')) continue;
      all += 'moved';
      renameSync(folder.join('context/sub'), folder.join('gone'));
      symlinkSync('../outside', folder.join('context/sub'));
    }
    assert.ok(all.includes('fine') && all.includes('moved') && !all.includes('SECRET'));
  });

  it('leaves out what vanishes, and fails by name on what cannot be read or never stands still', async () => {
    put('a', '1');
    put('b', '2');
    const names: string[] = [];
    for await (const piece of tarring()) {
      names.push(piece.subarray(0, 1).toString());
      rmSync(folder.join('context/b'), { force: true });
    }
    assert.ok(names.includes('a') && !names.includes('b'));

    put('large', Buffer.alloc(9 * 1024 * 1024, 1));
    const changing = async () => {
      let pieces = 0;
      for await (const _piece of tarring()) if (++pieces === 5) truncateSync(folder.join('context/large'), 5_000_000);
    };
    await assert.rejects(changing(), { code: 'conflict', message: /^large changes while it is being read/ });
    assert.ok(listed(await tarred('large')).includes('a'));
    writeFileSync(Buffer.from(`${folder.join('context')}/\xff`, 'latin1'), 'x');
    await assert.rejects(tarred('large'), { code: 'invalid_input', message: /its name is no UTF-8/ });
    assert.ok((await tarred('?')).length > 0);
  });

  it('has an ignore file only if that is one of its own', () => {
    assert.equal(readIgnoreFile(folder.join('context')), undefined);
    writeFileSync(folder.join('secret'), 'SECRET');
    symlinkSync('../secret', folder.join('context/.dockerignore'));
    assert.equal(readIgnoreFile(folder.join('context')), undefined);
    put('rules', '*.log\n');
    rmSync(folder.join('context/.dockerignore'));
    symlinkSync('rules', folder.join('context/.dockerignore'));
    assert.equal(readIgnoreFile(folder.join('context')), '*.log\n');
  });
});

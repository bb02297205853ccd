import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { VerbInput, VerbName } from '../../src/protocol/verbs.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';

/** Looking into images: nothing is started for any of it. */
describe('files of an image', () => {
  let engine: TestEngine;
  let base: string;
  let image: string;

  before(async () => {
    engine = await startEngine();
    base = await engine.busybox();
    const made = await engine.keep(
      [
        'mkdir -p /app/src /app/empty && cd /app',
        'printf "import os\\nprint(\\"hello\\")\\n" > src/main.py',
        'printf "żółw 😀\\n" > text',
        'printf "a\\000b" > binary',
        'ln -s src/main.py main && ln -s /etc/passwd out && ln -s ../../../../etc/passwd above',
        'chmod 755 src/main.py && chmod 700 empty',
        'i=0; while [ $i -lt 50 ]; do echo "line $i" > src/f$i; i=$((i+1)); done',
        'rm /etc/group && echo more >> /etc/passwd',
      ].join(' && '),
      { image: base },
    );
    image = made.result_image;
  });
  after(async () => engine?.[Symbol.asyncDispose]());

  const call = <V extends VerbName>(verb: V, input: VerbInput<V>) => engine.client.call(verb, input);

  test('list_files: every kind with its attributes, sorted', async () => {
    const { entries, total } = await call('list_files', { image, path: '/app' });
    assert.equal(total, 7);
    assert.deepEqual(
      entries.map(entry => [entry.name, entry.type, entry.link]),
      [
        ['above', 'link', '../../../../etc/passwd'],
        ['binary', 'file', null],
        ['empty', 'directory', null],
        ['main', 'link', 'src/main.py'],
        ['out', 'link', '/etc/passwd'],
        ['src', 'directory', null],
        ['text', 'file', null],
      ],
    );
    assert.equal(entries.find(entry => entry.name === 'empty')!.mode, 0o700);
    assert.equal(entries.find(entry => entry.name === 'binary')!.size, 3);
    assert.ok(entries.every(entry => entry.path === `/app/${entry.name}` && entry.uid === 0));
  });

  test('list_files: paged, with the true total', async () => {
    const names: string[] = [];
    for (let offset = 0; offset < 51; offset += 20) {
      const page = await call('list_files', { image, path: '/app/src', limit: 20, offset });
      assert.equal(page.total, 51);
      names.push(...page.entries.map(entry => entry.name));
    }
    assert.equal(new Set(names).size, 51);
  });

  test('stat_file, and list_files that follows: a link, and what it leads to', async () => {
    const main = await call('stat_file', { image, path: '/app/main' });
    assert.deepEqual([main.entry.type, main.entry.link], ['link', 'src/main.py']);
    assert.deepEqual([main.target?.path, main.target?.type, main.target?.mode], ['/app/src/main.py', 'file', 0o755]);
    const text = await call('stat_file', { image, path: '/app/text' });
    assert.deepEqual([text.entry.size, text.target], [13, null]);
    const { entries } = await call('list_files', { image, path: '/app', follow: true });
    assert.deepEqual(
      entries.map(entry => entry.stands_for),
      ['file', undefined, undefined, 'file', 'file', undefined, undefined],
      'links that would lead above the root end at it',
    );
    await assert.rejects(call('stat_file', { image, path: '/nowhere' }), { code: 'path_not_found' });
  });

  test('list_files and read_file: what is not there, or of another kind, is named', async () => {
    await assert.rejects(call('list_files', { image, path: '/nowhere' }), { code: 'path_not_found' });
    await assert.rejects(call('list_files', { image, path: '/app/text' }), { code: 'not_a_directory' });
    await assert.rejects(call('read_file', { image, path: '/app' }), { code: 'not_a_file' });
    await assert.rejects(call('read_file', { image, path: '/app/text/x' }), { code: 'not_a_directory' });
    await assert.rejects(call('read_file', { image, path: 'app' }), { code: 'invalid_input', field: 'path' });
    await assert.rejects(call('read_file', { image: 'tag:none', path: '/app/text' }), { code: 'image_not_found' });
  });

  test('read_file: text, base64, pages', async () => {
    const text = await call('read_file', { image, path: '/app/text' });
    assert.deepEqual([text.content, text.encoding, text.size, text.eof], ['żółw 😀\n', 'text', 13, true]);
    const binary = await call('read_file', { image, path: '/app/binary' });
    assert.deepEqual([binary.encoding, binary.content], ['base64', Buffer.from('a\0b').toString('base64')]);
    let all = '';
    for (let offset = 0, eof = false; !eof; ) {
      const page = await call('read_file', { image, path: '/app/text', offset, length: 2 });
      all += page.content;
      offset = page.next_offset;
      eof = page.eof;
    }
    assert.equal(all, 'żółw 😀\n');
  });

  test('read_file: links are followed, and stay inside the image', async () => {
    assert.match((await call('read_file', { image, path: '/app/main' })).content, /import os/);
    for (const path of ['/app/out', '/app/above', '/app/../../../etc/passwd']) {
      const { content } = await call('read_file', { image, path });
      assert.match(content, /^root:x:0:0:root:\/root:\/bin\/sh\n.*\nmore\n$/s, path);
    }
  });

  test('grep: path, glob, case, and a bound that says it cut', async () => {
    const { matches } = await call('grep', { image, path: '/app', pattern: 'PRINT\\(', ignore_case: true });
    assert.deepEqual(matches, [{ path: '/app/src/main.py', line: 2, text: 'print("hello")' }]);
    const python = await call('grep', { image, path: '/app', pattern: '.', glob: '*.py' });
    assert.deepEqual(
      python.matches.map(match => match.line),
      [1, 2],
    );
    const cut = await call('grep', { image, path: '/app/src', pattern: '^line', max_total: 10 });
    assert.deepEqual([cut.matches.length, cut.truncated], [10, true]);
    const whole = await call('grep', { image, path: '/app/src', pattern: '^line' });
    assert.deepEqual([whole.matches.length, whole.truncated], [50, false]);
    await assert.rejects(call('grep', { image, pattern: '(' }), { code: 'invalid_input', field: 'pattern' });
  });

  test('diff: against the parent, only what the run did', async () => {
    const { against, entries, total, added_bytes: bytes } = await call('diff', { image });
    assert.equal(against, base);
    assert.equal(total, entries.length);
    const of = (path: string) => entries.find(entry => entry.path === path);
    assert.equal(of('/etc/group')!.change, 'D');
    assert.equal(of('/etc/passwd')!.change, 'M');
    assert.equal(of('/app/src/f7')!.change, 'A');
    assert.equal(of('/app/main')!.type, 'link');
    assert.ok(
      entries.every(entry => entry.path.startsWith('/app') || entry.path.startsWith('/etc/')),
      'nothing else',
    );
    assert.ok(bytes > 400 && bytes < 2000, String(bytes));
  });

  test('diff: text, which patch would take; null where there is none', async () => {
    const { entries } = await call('diff', { image, text: true });
    const text = (path: string) => entries.find(entry => entry.path === path)!.text;
    assert.match(text('/etc/passwd')!, /^--- a\/etc\/passwd\n\+\+\+ b\/etc\/passwd\n@@ .*@@\n(?: .*\n)+\+more\n$/);
    assert.match(text('/app/text')!, /^--- \/dev\/null\n\+\+\+ b\/app\/text\n@@ -0,0 \+1,1 @@\n\+żółw 😀\n$/);
    assert.match(text('/etc/group')!, /^--- a\/etc\/group\n\+\+\+ \/dev\/null\n/);
    assert.equal(text('/app/binary'), null);
  });

  test('diff: path, limit with an honest total, itself, the other way round, siblings, a root', async () => {
    const source = await call('diff', { image, path: '/app/src', limit: 5 });
    assert.deepEqual([source.entries.length, source.total], [5, 52]);
    assert.ok(source.entries.every(entry => entry.path.startsWith('/app/src')));
    assert.equal((await call('diff', { image, against: image })).total, 0);
    const back = await call('diff', { image: base, against: image });
    assert.equal(back.entries.find(entry => entry.path === '/etc/group')!.change, 'A');
    assert.equal(back.entries.find(entry => entry.path === '/app/text')!.change, 'D');
    const sibling = await engine.keep('echo other > /sibling', { image: base });
    const between = await call('diff', { image, against: sibling.result_image });
    assert.equal(between.entries.find(entry => entry.path === '/sibling')!.change, 'D');
    assert.deepEqual(await call('diff', { image: base }), {
      image: base,
      against: null,
      entries: [],
      total: 0,
      added_bytes: 0,
    });
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Dockerignore } from '../../../src/runtimes/dockerfile/dockerignore.ts';

/** What Docker's documentation and its own tests say; test/contract/build.test.ts asks Docker itself. */
const cases: readonly (readonly [ignore: string, out: readonly string[], taken: readonly string[]])[] = [
  ['*/temp*', ['a/temp.txt', 'a/temp/x'], ['temp', 'a/b/temp']],
  ['*/*/temp*', ['a/b/temp.x'], ['a/temp', 'a/b/c/temp']],
  ['temp?', ['tempa', 'tempb/x'], ['temp', 'tempab']],
  ['**/*.go', ['x.go', 'a/b/c.go'], ['x.god']],
  ['**', ['a', 'a/b', '.x'], []],
  ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a']],
  ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b/c'], ['a', 'a/bb']],
  ['*.md\n!README.md', ['x.md'], ['README.md', 'a/x.md']],
  ['*.md\n!README*.md\nREADME-secret.md', ['x.md', 'README-secret.md'], ['README-1.md']],
  ['*.md\nREADME-secret.md\n!README*.md', ['x.md'], ['README-secret.md']],
  ['/foo\n./bar/\nx/../y', ['foo', 'bar', 'bar/z', 'y'], ['a/foo', 'x']],
  ['# a\n #b\n\n  c  ', ['#b', 'c'], ['a', '# a']],
  ['\uFEFFfirst\r\nsecond\r\n', ['first', 'second'], ['third']],
  ['[a-c]x\n[^d]y\n\\*', ['ax', 'cx', 'zy', '*'], ['dx', 'dy', 'star']],
  ['a.b+(c)|{d}$', ['a.b+(c)|{d}$'], ['aXb+(c)|{d}$']],
  ['ä?', ['äö', 'ä😀'], ['ä']],
  ['.\n/', [], ['a']],
];

describe('.dockerignore', () => {
  for (const [ignore, out, taken] of cases) {
    it(JSON.stringify(ignore), () => {
      const rules = Dockerignore.parse(ignore);
      for (const file of out) assert.equal(rules.leavesOut(file), true, `${file} is taken`);
      for (const file of taken) assert.equal(rules.leavesOut(file), false, `${file} is left out`);
    });
  }

  it('is entered where an exception names something below a folder that is left out', () => {
    const rules = Dockerignore.parse('a\n!a/b/c\n!**/d');
    assert.deepEqual(
      ['a', 'a/b', 'a/b/c', 'a/x', 'b'].map(folder => rules.isEntered(folder)),
      [true, true, true, false, false],
    );
  });

  it('with a pattern that is none is refused with its line', () => {
    for (const bad of ['x\n[', '!', 'a\\', '[]a]', '[z-a]'])
      assert.throws(
        () => Dockerignore.parse(bad),
        { code: 'invalid_input', message: /no pattern in line [12]: / },
        bad,
      );
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeTargets, packageManager, packageScripts } from '../../../src/extension/run/scripts.ts';

test('scripts of a package.json, by the manager whose lock file is there', () => {
  const text = JSON.stringify({ scripts: { test: 'sh test.sh', "it's": 'true', odd: 3 } });
  assert.deepEqual(packageScripts(text, packageManager(['yarn.lock'])), [
    { command: 'yarn run test', name: 'test', detail: 'sh test.sh' },
    { command: "yarn run 'it'\\''s'", name: "it's", detail: 'true' },
  ]);
  assert.equal(packageManager(['package-lock.json']), 'npm');
  assert.deepEqual(packageScripts('{}', 'npm'), []);
  assert.throws(() => packageScripts('{', 'npm'));
});

test('targets of a Makefile: names, no variables, patterns or special ones', () => {
  const text =
    'RATE ?= 1\nX := 2\nall: build test\n\t@echo all\nbuild test:\n\tcc x.c\n%.o: %.c\n\tcc $<\n.PHONY: all clean\nclean::\n\t-rm x\nlong: a \\\n  b\n\techo long\n$(X): y\n';
  assert.deepEqual(
    makeTargets(text, 'Makefile').map(({ command, detail }) => [command, detail]),
    [
      ['make all', 'echo all'],
      ['make build', 'cc x.c'],
      ['make test', 'cc x.c'],
      ['make clean', 'rm x'],
      ['make long', 'echo long'],
    ],
  );
  assert.equal(makeTargets('a:\n', 'rules.mk')[0]?.command, 'make -f rules.mk a');
});

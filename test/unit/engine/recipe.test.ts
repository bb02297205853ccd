import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { recipe } from '../../../src/engine/images/recipe.ts';
import { StateStore } from '../../../src/engine/sync/stateStore.ts';
import { newOperation, Parts, uuid } from './parts.ts';

describe('recipe', () => {
  let parts: Parts;
  let last: string;
  beforeEach(() => {
    parts = new Parts();
    last = parts.image(uuid(1), { source: 'docker://debian:12' });
  });
  afterEach(() => parts[Symbol.dispose]());

  function made(
    command: string,
    input: Record<string, unknown>,
    exitCode = 0,
    kind: 'run' | 'snapshot' | 'build' = 'run',
  ): void {
    const { id } = parts.store.insert({ ...newOperation, kind, title: command, input });
    last = parts.image(uuid(Number(last.slice(-12)) + 1), { parent: last, operationId: id, command, exitCode });
  }

  const text = (format: 'script' | 'dockerfile') =>
    recipe(
      { images: parts.images, operations: parts.store, states: new StateStore(parts.database) },
      parts.images.resolve(last),
      format,
    ).text;

  test('a script does the same again, whatever the words are', () => {
    made('printf "%s," "it\'s" $WORD', { command: 'x', cwd: '/tmp', env: { WORD: "a'b", TERM: 'xterm', 'a b': 'c' } });
    made('false', { command: 'false' }, 1);
    made("printf %s '$HOME'", { command: 'printf', args: ['%s', '$HOME'], shell: false });
    const script = text('script');
    assert.doesNotMatch(script, /TERM|a b=/);
    const { stdout, status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    assert.deepEqual([stdout, status, stderr], ["it's,a'b,$HOME", 0, '']);
  });

  test('what a Dockerfile made is said to be in it', () => {
    made('build /app -f x.dockerfile', {}, 0, 'build');
    assert.match(
      text('dockerfile'),
      /^# Built from a Dockerfile: coppice build \/app -f x\.dockerfile\. Its commands/m,
    );
    last = parts.image(uuid(50), { source: 'build:/app' });
    assert.match(text('dockerfile'), /^FROM \$BASE$/m);
  });

  test('a Dockerfile begins at the registry’s image, and says what has no command', () => {
    made('apt-get install -y make', { command: 'x', cwd: '/src', user: 'root' });
    made('echo one\necho two', { command: 'x', cwd: '/src' });
    made('make', { command: 'make', cwd: '/src' }, 2);
    made('sh -i', {}, 0, 'snapshot');
    assert.deepEqual(text('dockerfile').split('\n').slice(1), [
      'FROM debian:12',
      '',
      'WORKDIR /src',
      'USER root',
      'RUN apt-get install -y make',
      '',
      'RUN ["/bin/sh","-c","echo one\\necho two"]',
      '',
      '# This ended with exit 2, and was kept all the same.',
      'RUN (make) || true',
      '',
      '# Kept by hand: sh -i. What was changed there is in no command.',
      '',
    ]);
  });

  test('a base that no registry has is asked for, and no name ends a comment', () => {
    last = parts.image(uuid(100), { source: 'rootfs:/x\nRUN evil' });
    assert.match(text('dockerfile'), /^# It began at rootfs:\/x RUN evil, .+\nARG BASE\nFROM \$BASE$/m);
    assert.doesNotMatch(text('dockerfile'), /^RUN/m);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settings } from '../../../src/extension/contributions.ts';
import { dedented, folderInside, placeOf, runnerByFirstLine, runnerByName } from '../../../src/extension/run/runner.ts';

const runners = settings['coppice.runners'].default;

test('a file runs by its name, else by its extension', () => {
  assert.equal(runnerByName('main.py', runners), 'python3');
  assert.equal(runnerByName('a.b.mjs', runners), 'node');
  assert.equal(runnerByName('Rakefile', { Rakefile: 'rake -f' }), 'rake -f');
  assert.equal(runnerByName('picture.png', runners), undefined);
  assert.equal(runnerByName('toString', runners), undefined);
  assert.equal(runnerByName('main.py', { '.py': ' ' }), undefined, 'an emptied runner is no runner');
});

test('a #! line names a runner, and brings no shell syntax', () => {
  assert.equal(runnerByFirstLine('#!/usr/bin/env python3'), 'python3');
  assert.equal(runnerByFirstLine('#!/usr/bin/env -S node --flag=1'), 'node --flag=1');
  assert.equal(runnerByFirstLine('#!/bin/bash -e'), '/bin/bash -e');
  assert.equal(runnerByFirstLine('\u0089PNG'), undefined);
  assert.equal(runnerByFirstLine('#!/bin/sh; rm -rf /'), undefined);
  assert.equal(runnerByFirstLine('#!/bin/sh $(id)'), undefined);
});

test('files lie below their folder’s destination, and arguments never look like options', () => {
  const folder = { destination: '/workspace/app', path: '/home/me/app' };
  assert.deepEqual(placeOf('/home/me/app/src/main.py', folder), {
    cwd: '/workspace/app',
    path: '/workspace/app/src/main.py',
    argument: 'src/main.py',
  });
  assert.deepEqual(placeOf('/tmp/x.sh', undefined), { cwd: '/workspace', path: '/workspace/x.sh', argument: 'x.sh' });
  assert.equal(placeOf('/home/me/app-2/x.sh', folder).path, '/workspace/x.sh');
  assert.equal(placeOf('/home/me/app/-rf.sh', folder).argument, './-rf.sh');
  assert.equal(
    placeOf('/c:/work/app/a b.py', { destination: '/workspace/app', path: '/c:/work/app' }).path,
    '/workspace/app/a b.py',
  );
});

test('a selected body runs without the blanks it stood behind', () => {
  assert.equal(dedented('    a = 1\n\n      if a:\n    b\n'), 'a = 1\n\n  if a:\nb\n');
  assert.equal(dedented('\ta\n  b'), '\ta\n  b', 'nothing in common');
});

test('a folder lies below its workspace folder', () => {
  const folder = { destination: '/workspace/app', path: '/home/me/app' };
  assert.equal(folderInside('/home/me/app/src', folder), '/workspace/app/src');
  assert.equal(folderInside('/home/me/app', folder), '/workspace/app');
  assert.equal(folderInside('/home/me/app-2', folder), '/workspace/app');
});

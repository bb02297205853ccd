import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settings } from '../../../src/extension/contributions.ts';
import { placeOf, runnerOf } from '../../../src/extension/terminal/runner.ts';

const runners = settings['coppice.runners'].default;
const runner = (name: string, firstLine = '') => runnerOf({ name, firstLine }, runners);

test('a file runs by its name, then its extension, then its #! line', () => {
  assert.equal(runner('main.py'), 'python3');
  assert.equal(runner('a.b.mjs'), 'node');
  assert.equal(runner('Makefile'), 'make -f');
  assert.equal(runner('main.py', '#!/bin/sh'), 'python3');
  assert.equal(runner('tool', '#!/usr/bin/env python3'), 'python3');
  assert.equal(runner('tool', '#!/usr/bin/env -S node --flag=1'), 'node --flag=1');
  assert.equal(runner('tool', '#!/bin/bash -e'), '/bin/bash -e');
});

test('an unknown file has no runner, and a #! line brings no shell syntax', () => {
  assert.equal(runner('picture.png', '\u0089PNG'), undefined);
  assert.equal(runner('tool', '#!/bin/sh; rm -rf /'), undefined);
  assert.equal(runner('tool', '#!/bin/sh $(id)'), undefined);
});

test('an emptied runner is no runner', () => {
  assert.equal(runnerOf({ name: 'main.py', firstLine: '' }, { '.py': ' ' }), undefined);
});

test('files lie below /workspace/<folder>, and arguments never look like options', () => {
  const folder = { name: 'app', path: '/home/me/app' };
  assert.deepEqual(placeOf('/home/me/app/src/main.py', folder), {
    cwd: '/workspace/app',
    path: '/workspace/app/src/main.py',
    argument: 'src/main.py',
  });
  assert.deepEqual(placeOf('/tmp/x.sh', undefined), { cwd: '/workspace', path: '/workspace/x.sh', argument: 'x.sh' });
  assert.equal(placeOf('/home/me/app-2/x.sh', folder).path, '/workspace/x.sh');
  assert.equal(placeOf('/home/me/app/-rf.sh', folder).argument, './-rf.sh');
  assert.equal(placeOf('/c:/work/app/a b.py', { name: 'app', path: '/c:/work/app' }).path, '/workspace/app/a b.py');
});

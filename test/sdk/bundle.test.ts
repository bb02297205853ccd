import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { repository } from '../harness/coppiceHome.ts';

const BLOCKING = /Atomics\.wait\b|receiveMessageOnPort|execFileSync|spawnSync|execSync/;
const bundle = (name: string) => readFileSync(path.join(repository, 'dist', name), 'utf8');

test('the extension’s bundle holds nothing that blocks its thread, nor does coppice/async', () => {
  // The check sees what it looks for where it is.
  assert.match(bundle('sdk/coppice.js'), BLOCKING);
  for (const name of ['extension.js', 'sdk/async.js', 'sdk/core.js']) assert.doesNotMatch(bundle(name), BLOCKING, name);
});

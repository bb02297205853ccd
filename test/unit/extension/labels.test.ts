import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endLine } from '../../../src/extension/terminal/lines.ts';
import { age, byteSize, duration, imageName, oneLine, outcome } from '../../../src/extension/views/labels.ts';
import type { OperationView } from '../../../src/protocol/schemas/operations.ts';
import { operation } from './operation.ts';

const plain = (text: string) => text.replaceAll(/\u001b\[[0-9;]*m/g, '');

test('sizes', () => {
  assert.equal(byteSize(0), '0 B');
  assert.equal(byteSize(999), '999 B');
  assert.equal(byteSize(1500), '1.5 KB');
  assert.equal(byteSize(123_456_789), '123 MB');
});

test('durations', () => {
  assert.equal(duration(0), '0 ms');
  assert.equal(duration(999), '999 ms');
  assert.equal(duration(61_500), '1 min 1 s');
  assert.equal(duration(3_720_000), '1 h 2 min');
});

test('ages', () => {
  const now = Date.parse('2026-01-02T12:00:00Z');
  assert.equal(age('2026-01-02T11:59:30Z', now), 'just now');
  assert.equal(age('2026-01-02T12:00:30Z', now), 'just now', 'a clock that went back');
  assert.equal(age('2026-01-02T11:00:00Z', now), '1 h ago');
  assert.equal(age('2026-01-01T11:00:00Z', now), 'yesterday');
});

test('a program’s text becomes one harmless line', () => {
  assert.equal(oneLine('\u001b[31mred\u001b[0m\r\nnext\u0007'), 'red next');
  assert.equal(imageName({ tag: null, title: '\n', uuid: '3f2a91c4-0000' }), '3f2a91c4');
});

test('outcomes', () => {
  assert.equal(outcome(operation({ status: 'CANCELLED', exit_code: 137 })), 'cancelled');
  assert.equal(outcome(operation({ status: 'FAILED', timed_out: true, exit_code: 137 })), 'timed out');
  assert.equal(outcome(operation({ status: 'FAILED', exit_code: 3 })), 'exit 3');
});

test('the end line tells state, time, what was kept and the next step', () => {
  const kept: Partial<OperationView> = { disposable: false, result_image: 'bbbbbbbb-1111' };
  assert.match(plain(endLine(operation(kept))), /^✔ exit 0 · 420 ms · in aaaaaaaa · kept as bbbbbbbb\n/);
  assert.match(plain(endLine(operation({ disposable: false, filesystem_changed: false }))), /nothing changed/);
  assert.match(plain(endLine(operation({ status: 'FAILED', exit_code: 127 }))), /python3 is not in this image/);
  assert.match(plain(endLine(operation({ status: 'CANCELLED', exit_code: null }))), /^⊘ cancelled/);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { humanAge, humanDuration, humanSize, oneLine, plural, shortId } from '../../../src/verbs/wording.ts';

describe('wording', () => {
  it('writes sizes', () => {
    assert.deepEqual([0, 999, 1000, 1500, 99_960, 999_600, 84_000_000, 3e12].map(humanSize), [
      '0 B',
      '999 B',
      '1 KB',
      '1.5 KB',
      '100 KB',
      '1 MB',
      '84 MB',
      '3 TB',
    ]);
  });
  it('writes durations', () => {
    assert.deepEqual([0, 23.4, 999.6, 1234, 12_340, 60_000, 61_000, 3_600_000, 90_000_000].map(humanDuration), [
      '0 ms',
      '23 ms',
      '1.00 s',
      '1.23 s',
      '12.3 s',
      '1 min',
      '1 min 1 s',
      '1 h',
      '1 d 1 h',
    ]);
  });
  it('writes ages', () => {
    const now = Date.parse('2026-01-31T12:00:00Z');
    const age = (seconds: number) => humanAge(new Date(now - seconds * 1000).toISOString(), now);
    assert.deepEqual([-10, 1, 30, 90, 7200, 200_000, 1e7].map(age), [
      'now',
      'now',
      '30 s ago',
      '1 min ago',
      '2 h ago',
      '2 d ago',
      '2025-10-07',
    ]);
  });
  it('shortens ids so that their beginnings are accepted again', () => {
    assert.equal(shortId('1f0c22aa-0000-4000-8000-000000000000'), '1f0c22aa');
    assert.equal(shortId('op-0123456789abcdef'), 'op-01234567');
  });
  it('never lets a name drive the terminal', () => {
    assert.equal(oneLine('a\x1b]0;title\x07\nb\u202e\x9b', 80), 'a␛]0;title␇ b\ufffd\ufffd');
    assert.equal(oneLine('abcdef', 4), 'abc…');
  });
  it('counts', () => {
    assert.deepEqual(
      [plural(0, 'image'), plural(1, 'image'), plural(1200, 'match', 'matches')],
      ['0 images', '1 image', '1,200 matches'],
    );
  });
});

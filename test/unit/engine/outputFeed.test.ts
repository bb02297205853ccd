import assert from 'node:assert/strict';
import { appendFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { OutputEvent } from '../../../src/protocol/events.ts';
import { Parts } from './parts.ts';

class Follower {
  isReady = true;
  readonly events: OutputEvent[] = [];
  ready(): boolean {
    return this.isReady;
  }
  send(event: OutputEvent): void {
    this.events.push(event);
  }
  get text(): string {
    return this.events.map(event => Buffer.from(event.data, 'base64').toString()).join('');
  }
}

/** Writes to the real spool and tells the feed, as a runtime and the engine do. */
function writer(parts: Parts, source: string) {
  const { stdout } = parts.spools.open(source);
  let length = 0;
  return (text: string) => {
    appendFileSync(stdout, text);
    length += Buffer.byteLength(text);
    parts.feed.grew(source, 'stdout', length);
  };
}

describe('live output', () => {
  test('reaches every follower whole and in order', () => {
    using parts = new Parts();
    const [one, two] = [new Follower(), new Follower()];
    parts.feed.follow('op-1', one);
    parts.feed.follow('op-1', two);
    const write = writer(parts, 'op-1');
    for (const text of ['one ', 'twö ', 'three']) write(text);
    assert.equal(one.text, 'one twö three');
    assert.equal(two.text, 'one twö three');
    assert.deepEqual(
      one.events.map(event => event.offset),
      [0, 4, 9],
    );
  });

  test('in large pieces is cut into events a subscriber can take', () => {
    using parts = new Parts();
    const follower = new Follower();
    parts.feed.follow('op-1', follower);
    writer(parts, 'op-1')('x'.repeat(200_000));
    assert.equal(follower.events.length, 4);
    assert.equal(follower.text.length, 200_000);
  });

  test('skips ahead for one who cannot take more, who sees the gap by the next offset, while the other misses nothing', () => {
    using parts = new Parts();
    const [slow, quick] = [new Follower(), new Follower()];
    parts.feed.follow('op-1', slow);
    parts.feed.follow('op-1', quick);
    const write = writer(parts, 'op-1');
    write('first ');
    slow.isReady = false;
    write('missed ');
    slow.isReady = true;
    write('last');
    assert.equal(quick.text, 'first missed last');
    assert.equal(slow.text, 'first last');
    assert.equal(slow.events[1]!.offset, 13);
    const { bytes } = parts.spools.read('op-1', 'stdout', 6, 7);
    assert.equal(bytes.toString(), 'missed ');
  });

  test('one who stops being ready in the middle of a piece gets the first part only', () => {
    using parts = new Parts();
    const follower = new Follower();
    follower.ready = () => follower.events.length < 1;
    parts.feed.follow('op-1', follower);
    writer(parts, 'op-1')('x'.repeat(200_000));
    assert.equal(follower.events.length, 1);
    assert.equal(follower.text.length, 65_536);
  });

  test('of others is not sent, and nothing after following ended', () => {
    using parts = new Parts();
    const follower = new Follower();
    const stop = parts.feed.follow('op-1', follower);
    writer(parts, 'op-2')('other');
    const write = writer(parts, 'op-1');
    write('mine');
    stop();
    stop();
    write(' not any more');
    assert.equal(follower.text, 'mine');
  });

  test('one who comes later gets what comes later, at its offset', () => {
    using parts = new Parts();
    const write = writer(parts, 'op-1');
    write('before ');
    const follower = new Follower();
    parts.feed.follow('op-1', follower);
    write('after');
    assert.deepEqual(
      follower.events.map(event => [event.offset, Buffer.from(event.data, 'base64').toString()]),
      [[7, 'after']],
    );
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstCharacter, headText, incompleteTail, lastLineOf, orphanedHead } from '../../../src/engine/store/text.ts';

const text = 'aé€𝄞z ñ漢字🙂!';
const bytes = Buffer.from(text);
/** Where characters begin, and the end. */
const borders = [0];
for (const character of text) borders.push(borders.at(-1)! + Buffer.byteLength(character));

describe('text cut at every offset', () => {
  test('a head is the whole characters that fit', () => {
    for (let limit = 0; limit <= bytes.length + 2; limit++) {
      const fits = borders.findLast(border => border <= limit)!;
      assert.equal(headText(bytes, limit, true), bytes.subarray(0, fits).toString(), `limit ${limit}`);
    }
  });

  test('the tail that is cut off is the character that was begun', () => {
    for (let end = 0; end <= bytes.length; end++) {
      const whole = borders.findLast(border => border <= end)!;
      assert.equal(incompleteTail(bytes.subarray(0, end)), end - whole, `end ${end}`);
    }
  });

  test('the head that is cut off is the rest of a character', () => {
    for (let start = 0; start <= bytes.length; start++) {
      const next = borders.find(border => border >= start)!;
      assert.equal(orphanedHead(bytes.subarray(start)), next - start, `start ${start}`);
    }
  });

  test('the first character is whole', () => {
    for (const [index, start] of borders.slice(0, -1).entries())
      assert.equal(firstCharacter(bytes.subarray(start)), borders[index + 1]! - start);
  });

  test('what is no UTF-8 is never cut for ever', () => {
    assert.equal(incompleteTail(Buffer.from([0x80, 0x80, 0x80, 0x80])), 0);
    assert.equal(incompleteTail(Buffer.from([0xff])), 0);
    assert.equal(firstCharacter(Buffer.from([0xe2, 0x61, 0x62])), 1);
    assert.equal(firstCharacter(Buffer.from([0xe2])), 1);
    assert.equal(firstCharacter(Buffer.alloc(0)), 0);
    assert.equal(headText(Buffer.from([0x61, 0xe2]), 10, true), 'a\ufffd');
    assert.equal(headText(Buffer.from([0x61, 0xe2]), 10, false), 'a');
  });
});

test('the last line is the last that says something, without colours, short', () => {
  assert.equal(lastLineOf(Buffer.from('one\ntwo\n\n  \n')), 'two');
  assert.equal(lastLineOf(Buffer.from('10%\r20%\r30%')), '30%');
  assert.equal(lastLineOf(Buffer.from('\x1b[32mgreen\x1b[0m\x07\n')), 'green');
  assert.equal(lastLineOf(Buffer.from('x'.repeat(500))).length, 200);
  assert.equal(lastLineOf(Buffer.from('é').subarray(1)), '');
  assert.equal(lastLineOf(Buffer.alloc(0)), '');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TarReader } from '../../../src/runtimes/native/host/layers/tarReader.ts';

const octal = (number: number, length: number) => `${number.toString(8).padStart(length - 1, '0')}\0`;

/** A header of GNU's old sparse format that says that a list of pieces follows it. */
function sparseHeader(): Buffer {
  const block = Buffer.alloc(512);
  block.write('file');
  for (const [number, at, length] of [
    [0o644, 100, 8],
    [0, 108, 8],
    [0, 116, 8],
    [0, 124, 12],
    [0, 136, 12],
    [1 << 20, 483, 12],
  ] as const)
    block.write(octal(number, length), at);
  block.write('ustar  \0', 257);
  block.write('S', 156);
  block[482] = 1;
  block.fill(' ', 148, 156);
  block.write(
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      8,
    ),
    148,
  );
  return block;
}

/** Pieces of no length, and more of them to come. */
function morePieces(): Buffer {
  const block = Buffer.alloc(512);
  for (let at = 0; at < 504; at += 12) block.write(octal(0, 12), at);
  block[504] = 1;
  return block;
}

test('a list of pieces that does not end is given up, and soon', { timeout: 60_000 }, () => {
  const reader = new TarReader({ entry: () => {}, data: () => {}, end: () => {} });
  const more = morePieces();
  const before = process.cpuUsage().user;
  reader.write(sparseHeader());
  assert.throws(
    () => {
      for (let blocks = 0; blocks < 100_000; blocks++) {
        reader.write(more);
        // A test cannot stop what does not give way.
        assert.ok(process.cpuUsage().user - before < 20e6, `${blocks} blocks took 20 s`);
      }
    },
    { name: 'TarError', message: /more than 1048576 pieces/ },
  );
});

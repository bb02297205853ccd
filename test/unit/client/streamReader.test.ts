import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JobName, JobOutcome, JobParams, Piece } from '../../../src/client/jobs/jobs.ts';
import type { Link } from '../../../src/client/link.ts';
import { OperationRef } from '../../../src/client/operationRef.ts';
import { StreamReader } from '../../../src/client/streamReader.ts';

/** Answers each job when it is blocked for, or a moment later: both forms read the same pieces. */
class PieceLink implements Link {
  readonly blocking = true;
  readonly #pieces: readonly Uint8Array[];
  readonly #due: (() => void)[] = [];

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces;
  }

  start<J extends JobName>(_job: J, params: JobParams<J>, settled: (outcome: JobOutcome<J>) => void) {
    const answer = () => settled({ value: this.#from((params as JobParams<'output'>).offset) } as JobOutcome<J>);
    this.#due.push(answer);
    setImmediate(() => this.poll());
    return { cancel: () => undefined, hold: () => undefined };
  }

  #from(offset: number): Piece {
    let at = 0;
    for (const bytes of this.#pieces) {
      if (at === offset && bytes.byteLength > 0) return { bytes, eof: false };
      at += bytes.byteLength;
    }
    return { bytes: new Uint8Array(), eof: true };
  }

  poll(): void {
    for (const answer of this.#due.splice(0)) answer();
  }
  block(_what: string, done: () => boolean): boolean {
    for (let turn = 0; !done() && turn < 1000; turn++) this.poll();
    return done();
  }
  owns(): void {}
}

function reader(...pieces: Uint8Array[]): StreamReader {
  const about = { link: new PieceLink(pieces), what: 'stdout' };
  return new StreamReader(about, offset =>
    OperationRef.job(about, 'output', { process: 'pr-1', stream: 'stdout', offset }, piece => piece),
  );
}

async function awaited(items: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('a stream of pieces', () => {
  const text = 'aé€\r\n𝄞z漢🙂\n\nlast🙂';
  const lines = ['aé€', '𝄞z漢🙂', '', 'last🙂'];
  const bytes = Buffer.from(text);

  test('cut at every offset is whole characters and whole lines, in both forms', async () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const cutReader = () => reader(bytes.subarray(0, cut), bytes.subarray(cut));
      assert.deepEqual([...cutReader()], lines, `at ${cut}`);
      assert.deepEqual(await awaited(cutReader()), lines, `at ${cut}`);
      const chunks = [...cutReader().chunks()];
      assert.equal(chunks.join(''), text);
      assert.ok(
        chunks.every(chunk => !chunk.includes('\ufffd')),
        `at ${cut}`,
      );
      assert.equal(cutReader().readAll().get(), text);
    }
  });

  test('a byte at a time is the same', () => {
    assert.deepEqual([...reader(...Array.from(bytes, byte => Uint8Array.of(byte)))], lines);
  });

  test('of nothing has no lines; broken UTF-8 is shown as such and not lost', () => {
    assert.deepEqual([[...reader()], [...reader().chunks()], reader().readAll().get()], [[], [], '']);
    assert.deepEqual([...reader(Uint8Array.of(0x61, 0xf0, 0x9f))], ['a\ufffd']);
    assert.deepEqual([...reader(Buffer.from('\n'))], ['']);
  });

  test('is read from the beginning by everyone who reads it, and left in the middle', () => {
    const shared = reader(bytes);
    for (const line of shared) {
      assert.equal(line, lines[0]);
      break;
    }
    assert.deepEqual([...shared], lines);
  });
});

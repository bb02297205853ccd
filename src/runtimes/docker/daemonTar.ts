import { isUtf8 } from 'node:buffer';
import { Transform } from 'node:stream';

const block = 512;
const typeAt = 156;

/**
 * A tar as the daemon writes it, made such that every reader gets it right: without the mark that Docker puts into each
 * container's root, and with names that are no UTF-8 told in GNU's way, because those of pax are read as text.
 */
export class DaemonTar extends Transform {
  #pending = Buffer.alloc(0);
  /** Bytes of content until the next header. */
  #content = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    let rest = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    for (;;) {
      const content = Math.min(this.#content, rest.length);
      if (content > 0) this.push(rest.subarray(0, content));
      this.#content -= content;
      rest = rest.subarray(content);
      if (this.#content > 0 || rest.length < block) break;
      const header = rest.subarray(0, block);
      const size = sizeIn(header);
      const padded = Math.ceil(size / block) * block;
      const isPax = header[typeAt] === 0x78;
      if (isPax && rest.length < block + padded) break;
      rest = rest.subarray(block);
      if (isPax) {
        this.#pax(header, rest.subarray(0, size), rest.subarray(0, padded));
        rest = rest.subarray(padded);
        continue;
      }
      this.#content = padded;
      if (size > 0 || header.toString('latin1', 0, 100).replace(/\0.*$/s, '') !== '.dockerenv') this.push(header);
    }
    this.#pending = Buffer.from(rest);
    done();
  }

  override _flush(done: () => void): void {
    this.push(this.#pending);
    done();
  }

  #pax(header: Buffer, content: Buffer, padded: Buffer): void {
    const records = recordsOf(content);
    const odd = records.filter(({ name, value }) => (name === 'path' || name === 'linkpath') && !isUtf8(value));
    if (odd.length === 0) {
      this.push(header);
      this.push(padded);
      return;
    }
    const kept = Buffer.concat(records.filter(record => !odd.includes(record)).map(record => record.whole));
    if (kept.length > 0) this.push(entry(header, kept, 'x'));
    for (const { name, value } of odd)
      this.push(entry(header, Buffer.concat([value, Buffer.alloc(1)]), name === 'path' ? 'L' : 'K'));
  }
}

interface PaxRecord {
  readonly name: string;
  readonly value: Buffer;
  readonly whole: Buffer;
}

/** Each is `LENGTH name=value\n`, the length of all of it. */
function recordsOf(content: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < content.length; ) {
    const length = Number.parseInt(content.toString('latin1', at, at + 20), 10);
    if (!(length > 0) || at + length > content.length) break;
    const whole = content.subarray(at, at + length);
    const blank = whole.indexOf(0x20);
    const equals = whole.indexOf(0x3d);
    records.push({
      name: whole.toString('latin1', blank + 1, equals),
      value: whole.subarray(equals + 1, length - 1),
      whole,
    });
    at += length;
  }
  return records;
}

/** Another entry of the kind that says something about the next one. */
function entry(like: Buffer, content: Buffer, type: string): Buffer {
  const header = Buffer.from(like);
  header.write(content.length.toString(8).padStart(11, '0'), 124, 'latin1');
  header[135] = 0;
  header[typeAt] = type.charCodeAt(0);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc((block - (content.length % block)) % block)]);
}

/** Octal, or, for what is too large for that, binary with the first bit set. */
function sizeIn(header: Buffer): number {
  const field = header.subarray(124, 136);
  if ((field[0]! & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  return Number.parseInt(field.toString('latin1').replace(/[\0 ]+$/, '') || '0', 8) || 0;
}

import { TarError } from './tarError.ts';
import { numberOf } from './tarNumber.ts';

/** A piece of a sparse file; between pieces are holes. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

const mostSegments = 1 << 20;
const extensionEntries = 21;

/** Of GNU's old format: four in the header itself, more in blocks behind it. */
export function oldSegments(header: Buffer, size: number): Segment[] {
  const segments: Segment[] = [];
  addSegments(segments, header, 386, 4, size);
  return segments;
}

/** Adds what such a block says. */
export function extendSegments(segments: Segment[], block: Buffer, size: number): void {
  if (segments.length > mostSegments) throw tooMany();
  addSegments(segments, block, 0, extensionEntries, size);
}

export function extensionMore(block: Buffer, header: boolean): boolean {
  return block[header ? 482 : 504] !== 0;
}

/** What `GNU.sparse.map` (0.1), or `offset` and `numbytes` in turn (0.0), say. */
export function listedSegments(numbers: readonly string[], size: number): Segment[] {
  if (numbers.length % 2 !== 0) throw new TarError('a list of pieces is broken');
  const segments: Segment[] = [];
  for (let at = 0; at < numbers.length; at += 2)
    addSegment(segments, decimal(numbers[at]!), decimal(numbers[at + 1]!), size);
  return segments;
}

/** Reads the list of pieces at the beginning of a file's content: decimal numbers, a line each, how many first. */
export class MapReader {
  bytes = 0;
  segments: Segment[] | undefined;
  readonly #size: number;
  readonly #found: Segment[] = [];
  #line = '';
  #expected: number | undefined;
  #offset: number | undefined;
  #whole = false;

  constructor(size: number) {
    this.#size = size;
  }

  /** Answers how much of it was the list, its padding included. */
  take(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.segments === undefined) {
      const byte = chunk[at++]!;
      this.bytes++;
      if (!this.#whole) this.#takeByte(byte);
      if (this.#whole && this.bytes % 512 === 0) this.segments = this.#found;
    }
    return at;
  }

  #takeByte(byte: number): void {
    if (byte !== 10) {
      this.#line += String.fromCharCode(byte);
      if (this.#line.length > 20) throw new TarError('a list of pieces is broken');
      return;
    }
    const number = decimal(this.#line);
    this.#line = '';
    if (this.#expected === undefined) {
      this.#expected = number;
      if (number > mostSegments) throw tooMany();
    } else if (this.#offset === undefined) this.#offset = number;
    else {
      addSegment(this.#found, this.#offset, number, this.#size);
      this.#offset = undefined;
    }
    this.#whole = this.#found.length === this.#expected;
  }
}

function addSegments(segments: Segment[], block: Buffer, from: number, count: number, size: number): void {
  for (let index = 0; index < count; index++) {
    const at = from + index * 24;
    // An empty field ends the list.
    if (block[at] === 0) break;
    addSegment(segments, numberOf(block, at, 12), numberOf(block, at + 12, 12), size);
  }
}

function addSegment(segments: Segment[], offset: number, length: number, size: number): void {
  const last = segments.at(-1);
  const end = last === undefined ? 0 : last.offset + last.length;
  if (offset < end || length < 0 || offset + length > size) throw new TarError('a list of pieces is broken');
  segments.push({ offset, length });
}

function decimal(text: string): number {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new TarError('a list of pieces is broken');
  return number;
}

function tooMany(): TarError {
  return new TarError(`a sparse file of more than ${mostSegments} pieces`);
}

import { TarError } from './tarError.ts';
import { entryOf, type Overrides, overridesOf, type TarEntry } from './tarHeader.ts';
import { extendSegments, extensionMore, MapReader, oldSegments, type Segment } from './tarSparse.ts';

/** What a tar's entries go to, one after another. */
export interface TarSink {
  entry(entry: TarEntry): void;
  /** Content of a file, at its place in it. */
  data(bytes: Buffer, position: number): void;
  /** Of the entry, when its content is whole. */
  end(): void;
}

const blockBytes = 512;
/** Of a header that holds names, attributes and the like: what it says is kept in memory. */
const mostHeaderBytes = 1 << 20;

/**
 * Takes a tar apart as it comes, in pieces of any size: ustar, GNU (long names, sparse files of old) and pax (also its
 * sparse files). Names stay bytes, one character each. What it keeps in memory is bounded, whatever the tar says.
 */
export class TarReader {
  readonly #sink: TarSink;
  #take: (chunk: Buffer, from: number) => number;
  readonly #block = Buffer.alloc(blockBytes);
  #blockFill = 0;
  /** What headers before an entry say of it. */
  #next: Overrides = {};
  #global: Overrides = {};
  #zeroBlocks = 0;
  #entry: TarEntry | undefined;
  /** Bytes of content, and of padding behind it, that are still to come. */
  #left = 0;
  #padding = 0;
  /** Of the file that is being read: its pieces, the one being read, and how far. */
  #segments: Segment[] = [];
  #segment = 0;
  #within = 0;
  #map: MapReader | undefined;
  #special: { readonly type: string; readonly bytes: Buffer; fill: number } | undefined;

  constructor(sink: TarSink) {
    this.#sink = sink;
    this.#take = this.#takeHeader;
  }

  write(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) at += this.#take(chunk, at);
  }

  /** Nothing more comes. */
  finish(): void {
    const between = this.#take === this.#takeHeader && this.#blockFill === 0 && Object.keys(this.#next).length === 0;
    if (!between && this.#take !== this.#takeRest) throw new TarError('it ends too early');
  }

  #takeHeader(chunk: Buffer, from: number): number {
    return this.#takeBlock(chunk, from, block => {
      if (isZero(block)) {
        this.#zeroBlocks++;
        if (this.#zeroBlocks === 2) this.#take = this.#takeRest;
        return;
      }
      if (this.#zeroBlocks > 0) throw new TarError('there is an empty block in the middle');
      this.#startEntry(block);
    });
  }

  /** Behind the end: padding, or what nobody should look at. */
  #takeRest(chunk: Buffer, from: number): number {
    return chunk.length - from;
  }

  #startEntry(block: Buffer): void {
    const type = String.fromCharCode(block[156]!);
    if ('xXgLK'.includes(type)) {
      this.#startSpecial(type, entryOf(block, {}, {}).packedSize);
      return;
    }
    const entry = entryOf(block, this.#global, this.#next);
    this.#next = {};
    this.#entry = entry;
    this.#left = entry.packedSize;
    this.#padding = paddingOf(entry.packedSize);
    this.#segments = entry.segments ?? [{ offset: 0, length: entry.packedSize }];
    this.#segment = 0;
    this.#within = 0;
    this.#map = entry.sparse === 'map' ? new MapReader(entry.size) : undefined;
    if (entry.sparse === 'old') {
      this.#segments = oldSegments(block, entry.size);
      if (extensionMore(block, true)) {
        this.#take = this.#takeExtension;
        return;
      }
    }
    this.#begin();
  }

  #begin(): void {
    if (this.#map === undefined) this.#checkSegments();
    this.#sink.entry(this.#entry!);
    this.#take = this.#takeContent;
    this.#endIfWhole();
  }

  /** GNU's old sparse files: blocks of more pieces follow the header. */
  #takeExtension(chunk: Buffer, from: number): number {
    return this.#takeBlock(chunk, from, block => {
      extendSegments(this.#segments, block, this.#entry!.size);
      if (!extensionMore(block, false)) this.#begin();
    });
  }

  #takeContent(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + this.#left);
    let at = from;
    while (at < end) at += this.#map === undefined ? this.#passOn(chunk, at, end) : this.#readMap(chunk, at, end);
    this.#left -= end - from;
    this.#endIfWhole();
    return end - from;
  }

  #passOn(chunk: Buffer, from: number, end: number): number {
    for (;;) {
      const segment = this.#segments[this.#segment];
      // An entry that has no business to have content: it is passed over.
      if (segment === undefined) return end - from;
      const length = Math.min(end - from, segment.length - this.#within);
      if (length === 0) {
        this.#segment++;
        this.#within = 0;
        continue;
      }
      this.#sink.data(chunk.subarray(from, from + length), segment.offset + this.#within);
      this.#within += length;
      return length;
    }
  }

  /** pax 1.0: the content begins with the list of its pieces, padded to a block. */
  #readMap(chunk: Buffer, from: number, end: number): number {
    const taken = this.#map!.take(chunk.subarray(from, end));
    const segments = this.#map!.segments;
    if (segments !== undefined) {
      this.#segments = segments;
      const read = this.#map!.bytes;
      this.#map = undefined;
      this.#checkSegments(this.#entry!.packedSize - read);
    }
    return taken;
  }

  #checkSegments(bytes = this.#entry!.packedSize): void {
    if (this.#entry!.sparse === undefined) return;
    const held = this.#segments.reduce((sum, segment) => sum + segment.length, 0);
    if (held !== bytes) throw new TarError('a sparse file does not hold what it says');
  }

  #endIfWhole(): void {
    if (this.#left > 0) return;
    if (this.#map !== undefined) throw new TarError('a sparse file has no list of its pieces');
    this.#sink.end();
    this.#skipPadding();
  }

  #skipPadding(): void {
    this.#take = this.#padding > 0 ? this.#takePadding : this.#takeHeader;
  }

  #takePadding(chunk: Buffer, from: number): number {
    const length = Math.min(chunk.length - from, this.#padding);
    this.#padding -= length;
    if (this.#padding === 0) this.#take = this.#takeHeader;
    return length;
  }

  #startSpecial(type: string, size: number): void {
    if (size > mostHeaderBytes) throw new TarError(`a header of ${size} bytes`);
    this.#special = { type, bytes: Buffer.alloc(size), fill: 0 };
    this.#padding = paddingOf(size);
    if (size === 0) this.#endSpecial();
    else this.#take = this.#takeSpecial;
  }

  #takeSpecial(chunk: Buffer, from: number): number {
    const special = this.#special!;
    const copied = chunk.copy(special.bytes, special.fill, from);
    special.fill += copied;
    if (special.fill === special.bytes.length) this.#endSpecial();
    return copied;
  }

  #endSpecial(): void {
    const { type, bytes } = this.#special!;
    this.#special = undefined;
    const said = overridesOf(type, bytes);
    if (type === 'g') this.#global = { ...this.#global, ...said };
    else this.#next = { ...this.#next, ...said };
    this.#skipPadding();
  }

  #takeBlock(chunk: Buffer, from: number, use: (block: Buffer) => void): number {
    if (this.#blockFill === 0 && chunk.length - from >= blockBytes) {
      use(chunk.subarray(from, from + blockBytes));
      return blockBytes;
    }
    const copied = chunk.copy(this.#block, this.#blockFill, from);
    this.#blockFill += copied;
    if (this.#blockFill === blockBytes) {
      this.#blockFill = 0;
      use(this.#block);
    }
    return copied;
  }
}

function paddingOf(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

const zeroBlock = Buffer.alloc(blockBytes);

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock);
}

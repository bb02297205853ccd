import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract, type Header } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import { type EntryName, fromText } from './entryName.ts';

export interface TarEntry {
  readonly name: EntryName;
  readonly type: Header['type'];
  readonly size: number;
  readonly mode: number;
  readonly mtime: Date;
  /** Where a link points. */
  readonly target: EntryName;
}

/** Who takes an entry's content; undefined: nobody. */
export type Taker = { write(bytes: Uint8Array): void; end(): void } | undefined;

/** The published types leave its options out. */
const openTar = extract as (options: { readonly filenameEncoding: 'latin1' }) => Extract;

/** Calls `take` for each entry of a tar, in order. A tar that breaks off is an error. */
export async function readTar(
  archive: NodeJS.ReadableStream,
  take: (entry: TarEntry) => Taker,
  signal: AbortSignal,
): Promise<void> {
  const parser = openTar({ filenameEncoding: 'latin1' });
  const trying = (work: () => void) => {
    try {
      work();
    } catch (error) {
      parser.destroy(error as Error);
    }
  };
  parser.on('error', () => {});
  parser.on('entry', (header, content, next) => {
    trying(() => {
      const taker = take(entryOf(header));
      // Both fail with the whole, which `pipeline` tells.
      content.on('error', () => {});
      content.on('data', bytes => trying(() => taker?.write(bytes as Uint8Array)));
      content.on('end', () =>
        trying(() => {
          taker?.end();
          next();
        }),
      );
      content.resume();
    });
  });
  const end = new EndOfArchive();
  const source = archive as Readable;
  await pipeline(source, chunks => end.watch(chunks), parser as unknown as Writable, { signal });
  if (!end.seen)
    throw new CoppiceError('internal', 'the files broke off on their way out of the image', { fix: 'Try again.' });
}

/** Two blocks of zeros: without them the tar may have been cut off between two entries. */
class EndOfArchive {
  static readonly length = 1024;
  #tail: Buffer = Buffer.alloc(0);

  async *watch(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      const last = chunk.subarray(-EndOfArchive.length);
      this.#tail =
        last.length === EndOfArchive.length ? last : Buffer.concat([this.#tail, last]).subarray(-EndOfArchive.length);
      yield chunk;
    }
  }

  get seen(): boolean {
    return this.#tail.length === EndOfArchive.length && this.#tail.every(byte => byte === 0);
  }
}

/** A pax header is always UTF-8, which the parser has read as text already; all else came as bytes. */
function entryOf(header: Header): TarEntry {
  const pax = (header.pax ?? {}) as { readonly path?: string; readonly linkpath?: string };
  return {
    name: pax.path === undefined ? header.name : fromText(pax.path),
    target: pax.linkpath === undefined ? (header.linkname ?? '') : fromText(pax.linkpath),
    type: header.type,
    size: header.size,
    mode: header.mode,
    mtime: header.mtime,
  };
}

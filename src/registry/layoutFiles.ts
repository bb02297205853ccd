import { close, createReadStream, fstatSync, read } from 'node:fs';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { hashFor } from './digest.ts';
import { badDigest } from './session.ts';

const PIECE = 1_048_576;
const readAt = promisify(read);
const closeFile = promisify(close);

/** A stretch of an open file: a whole file of a folder, or an entry of a tar. */
export interface Stretch {
  readonly fd: number;
  readonly start: number;
  readonly size: number;
}

/** The files of an unpacked or packed layout, by their names in it. Whoever asks for a stretch closes its descriptor. */
export interface LayoutFiles extends Disposable {
  /** For errors. */
  readonly place: string;
  /** undefined: there is no such file. */
  open(name: string): Stretch | undefined;
}

/** A small file whole; undefined when it is missing or larger than it may be. */
export async function readFile(files: LayoutFiles, name: string, most: number): Promise<Buffer | undefined> {
  const stretch = files.open(name);
  if (!stretch) return undefined;
  try {
    if (stretch.size > most) return undefined;
    const bytes = Buffer.alloc(stretch.size);
    let length = 0;
    for await (const piece of pieces(stretch)) length += piece.copy(bytes, length);
    return bytes.subarray(0, length);
  } finally {
    await closeFile(stretch.fd);
  }
}

/** Reads it once to prove it and hands the same open file out to be read again. */
export async function openVerified(
  files: LayoutFiles,
  stretch: Stretch,
  digest: string,
  signal: AbortSignal,
): Promise<Readable> {
  try {
    if ((await digestOfStretch(stretch, digest, signal)) !== digest) throw badDigest(digest, files.place);
  } catch (error) {
    await closeFile(stretch.fd);
    throw error;
  }
  const { fd, start, size } = stretch;
  if (size === 0) {
    await closeFile(fd);
    return Readable.from([]);
  }
  return createReadStream('', { fd, start, end: start + size - 1, highWaterMark: PIECE });
}

export async function digestOfStretch(stretch: Stretch, like: string, signal: AbortSignal): Promise<string> {
  const hash = hashFor(like);
  for await (const piece of pieces(stretch)) {
    signal.throwIfAborted();
    hash.update(piece);
  }
  return `${like.slice(0, like.indexOf(':') + 1)}${hash.digest('hex')}`;
}

/** The first bytes, which tell how it is packed. */
export async function headOf(stretch: Stretch): Promise<Buffer> {
  const head = Buffer.alloc(6);
  const { bytesRead } = await readAt(stretch.fd, head, 0, Math.min(6, stretch.size), stretch.start);
  return head.subarray(0, bytesRead);
}

/** Each piece is gone when the next one is asked for. */
async function* pieces({ fd, start, size }: Stretch): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(PIECE, size));
  for (let at = 0; at < size; ) {
    const { bytesRead } = await readAt(fd, buffer, 0, Math.min(PIECE, size - at), start + at);
    if (bytesRead === 0) return; // It was cut short meanwhile; whoever asked sees that its digest is another.
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

export const wholeFile = (fd: number): Stretch => ({ fd, start: 0, size: fstatSync(fd).size });

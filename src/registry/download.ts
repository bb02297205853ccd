import type { Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashFor } from './digest.ts';
import { pause } from './patience.ts';
import { connectionTrouble, TemporaryTrouble } from './registryErrors.ts';
import { badDigest } from './session.ts';

export interface BlobOrigin {
  /** Who is said to have sent it, in errors. */
  readonly name: string;
  /** The blob's bytes from `offset` on, or from earlier, as `start` says. */
  open(offset: number, signal: AbortSignal): Promise<{ readonly body: Readable; readonly start: number }>;
}

/** How often it may break off in a row before it is given up, and the bytes after which a break is forgiven. */
const MOST_BREAKS = 8;
const FORGIVEN_AFTER = 65_536;
const READ_BYTES = 1_048_576;
const BATCH_BYTES = 1_048_576;

export interface Download {
  readonly digest: string;
  readonly size: number;
  readonly file: string;
  readonly origin: BlobOrigin;
  readonly signal: AbortSignal;
  /** Bytes that came along, those that lay here already included. */
  readonly arrived: (bytes: number) => void;
}

/**
 * Brings a blob into a file and proves that it is what it is called. Goes on where an earlier download, or a connection
 * that broke, ended; never takes more bytes than it was told there are.
 */
export async function download(task: Download): Promise<void> {
  const file = await open(task.file, 'a+', 0o600);
  try {
    const resumed = await attempt(task, file);
    if (resumed === 'whole') return;
    // What lay here from an earlier time may have been damaged since: once more, without it.
    if (resumed === 'damaged-resumed' && (await attempt(task, file)) === 'whole') return;
    throw badDigest(task.digest, task.origin.name);
  } finally {
    await file.close();
  }
}

async function attempt(task: Download, file: FileHandle): Promise<'whole' | 'damaged' | 'damaged-resumed'> {
  const partial = new PartialBlob(task, file);
  const lay = await partial.readWhatIsHere();
  await fetchRest(task, partial);
  if (partial.matches()) return 'whole';
  await file.truncate(0);
  task.arrived(-task.size);
  return lay > 0 ? 'damaged-resumed' : 'damaged';
}

async function fetchRest(task: Download, partial: PartialBlob): Promise<void> {
  const { origin, signal, size } = task;
  for (let breaks = 0; partial.length < size; ) {
    const before = partial.length;
    try {
      const { body, start } = await origin.open(partial.length, signal);
      await partial.take(body, start);
      if (partial.length < size) throw new Error('the connection ended early');
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof DiskTrouble) throw error.cause;
      const trouble = connectionTrouble(error, origin.name);
      if (!(trouble instanceof TemporaryTrouble)) throw trouble;
      const forgiven = Math.floor((partial.length - before) / FORGIVEN_AFTER);
      breaks = Math.max(0, breaks - forgiven) + 1;
      const wait = forgiven > 0 ? (trouble.retryAfterMs ?? 0) : pause(breaks, trouble.retryAfterMs);
      if (breaks > MOST_BREAKS || wait === undefined) throw trouble.final;
      await sleep(wait, undefined, { signal });
    }
  }
}

/** The bytes that are here and their hash, which grow together. */
class PartialBlob {
  readonly #task: Download;
  readonly #file: FileHandle;
  readonly #hash: Hash;
  length = 0;

  constructor(task: Download, file: FileHandle) {
    this.#task = task;
    this.#file = file;
    this.#hash = hashFor(task.digest);
  }

  async readWhatIsHere(): Promise<number> {
    const { size: lies } = await this.#file.stat();
    if (lies > this.#task.size) await this.#file.truncate(0);
    else {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, lies));
      while (this.length < lies) {
        this.#task.signal.throwIfAborted();
        const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.length);
        if (bytesRead === 0) break;
        this.#count(buffer.subarray(0, bytesRead));
      }
    }
    return this.length;
  }

  /** From a stream that may begin before what we have; what it sends beyond the blob's end is refused. */
  async take(body: Readable, start: number): Promise<void> {
    let skip = this.length - start;
    const writer = new BatchWriter(this.#file);
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        const fresh = skip >= chunk.length ? undefined : chunk.subarray(skip);
        skip = Math.max(0, skip - chunk.length);
        if (fresh === undefined) continue;
        if (this.length + fresh.length > this.#task.size) throw badDigest(this.#task.digest, this.#task.origin.name);
        this.#count(fresh);
        await writer.write(fresh);
        this.#task.signal.throwIfAborted();
      }
    } finally {
      // What is counted is in the file, also when the connection broke.
      await writer.flush();
    }
  }

  #count(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.length += bytes.length;
    this.#task.arrived(bytes.length);
  }

  matches(): boolean {
    return `${this.#task.digest.slice(0, 7)}${this.#hash.digest('hex')}` === this.#task.digest;
  }
}

/** Small pieces become large writes; one is on its way while the next is gathered. */
class BatchWriter {
  readonly #file: FileHandle;
  #batch: Buffer[] = [];
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(piece: Buffer): Promise<void> {
    this.#batch.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= BATCH_BYTES) await this.#next();
  }

  async flush(): Promise<void> {
    await this.#next();
    await this.#writing;
  }

  async #next(): Promise<void> {
    await this.#writing;
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    this.#writing = writeAll(this.#file, batch);
    this.#writing.catch(() => undefined); // Whoever writes next, or flushes, is told.
  }
}

async function writeAll(file: FileHandle, batch: Buffer[]): Promise<void> {
  try {
    const wanted = batch.reduce((sum, piece) => sum + piece.length, 0);
    const { bytesWritten } = wanted === 0 ? { bytesWritten: 0 } : await file.writev(batch);
    // Rare: a disk that is nearly full takes a part.
    if (bytesWritten < wanted) await file.appendFile(Buffer.concat(batch).subarray(bytesWritten));
  } catch (error) {
    throw new DiskTrouble('the blob cannot be written', { cause: error });
  }
}

/** Ours, not the network's: trying again does not help. */
class DiskTrouble extends Error {}

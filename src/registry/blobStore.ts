import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { CoppiceError } from '../protocol/errors.ts';
import { type BlobOrigin, download } from './download.ts';

/** What an import that did not end well left is worth keeping for a while, to go on from. */
const KEEP_MS = 24 * 3_600_000;
const KEEP_BYTES = 10 * 1024 ** 3;
/** Downloads at once, of all imports together. */
const SIDE_BY_SIDE = 4;
/** What is left free for everybody else. */
const RESERVE = 64 * 1_048_576;

interface Blob {
  readonly file: string;
  readonly digest: string;
  readonly size: number;
  users: number;
  arrived: number;
  coming: { readonly done: Promise<void>; readonly abort: AbortController; waiting: number } | undefined;
  whole: boolean;
}

/**
 * Blobs on their way into images, a file each in COPPICE_HOME. One that two imports want comes once. A file is trusted only
 * by the engine that verified it; what lies there from before is read and hashed again.
 */
export class BlobStore {
  readonly #folder: string;
  readonly #blobs = new Map<string, Blob>();
  #free = SIDE_BY_SIDE;
  readonly #queue: (() => void)[] = [];

  constructor(home: string) {
    this.#folder = path.join(home, 'registry', 'blobs');
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#sweep();
  }

  /** For as long as it is held, it is not cleaned away. */
  hold(digest: string, size: number): HeldBlob {
    const file = this.#file(digest, size);
    const blob = this.#blobs.get(file) ?? {
      file,
      digest,
      size,
      users: 0,
      arrived: 0,
      coming: undefined,
      whole: false,
    };
    this.#blobs.set(file, blob);
    blob.users++;
    return {
      file,
      arrived: () => blob.arrived,
      bring: (origin, signal) => this.#bring(blob, origin, signal),
      release: keep => this.#release(blob, keep),
    };
  }

  /** Whoever lies about a blob's size spoils nobody else's download of it. */
  #file(digest: string, size: number): string {
    return path.join(this.#folder, `${digest.replace(':', '-')}-${size}`);
  }

  /** Who waits may stop waiting; the download goes on while one still does. */
  async #bring(blob: Blob, origin: BlobOrigin, signal: AbortSignal): Promise<void> {
    // One that everybody left is still on its way out.
    while (blob.coming?.abort.signal.aborted) await blob.coming.done.catch(() => undefined);
    signal.throwIfAborted();
    if (blob.whole) return;
    blob.coming ??= this.#start(blob, origin);
    const { coming } = blob;
    coming.waiting++;
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave, { once: true });
    try {
      await Promise.race([coming.done, left]);
    } finally {
      signal.removeEventListener('abort', leave);
      if (--coming.waiting === 0) coming.abort.abort();
    }
  }

  #start(blob: Blob, origin: BlobOrigin): NonNullable<Blob['coming']> {
    const abort = new AbortController();
    const done = this.#inTurn(abort.signal, () => this.#download(blob, origin, abort.signal)).finally(() => {
      blob.coming = undefined;
      this.#forget(blob);
    });
    done.catch(() => undefined); // Who waited was told; when nobody waits any more, nobody asks.
    return { done, abort, waiting: 0 };
  }

  async #download(blob: Blob, origin: BlobOrigin, signal: AbortSignal): Promise<void> {
    const here = statSync(blob.file, { throwIfNoEntry: false })?.size ?? 0;
    await this.#checkSpace(blob.size - here);
    blob.arrived = 0;
    await download({
      digest: blob.digest,
      size: blob.size,
      file: blob.file,
      origin,
      signal,
      arrived: bytes => {
        blob.arrived += bytes;
      },
    });
    blob.whole = blob.users > 0;
  }

  async #checkSpace(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#folder);
    if (bytes + RESERVE <= bavail * bsize) return;
    throw new CoppiceError('disk_full', `there is no room for a layer of ${bytes} bytes`, {
      fix: 'Free space (`coppice prune` removes unused images), then try again.',
    });
  }

  async #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>(resolve => this.#queue.push(resolve));
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#free++;
    }
  }

  #release(blob: Blob, keep: boolean): void {
    blob.users--;
    if (blob.users > 0) return;
    blob.whole = false;
    if (!keep) rmSync(blob.file, { force: true });
    this.#forget(blob);
    this.#sweep();
  }

  #forget(blob: Blob): void {
    if (blob.users === 0 && blob.coming === undefined) this.#blobs.delete(blob.file);
  }

  /** What nobody holds and is too old, or too much, goes; the newest stays longest. */
  #sweep(): void {
    const idle = readdirSync(this.#folder)
      .map(name => path.join(this.#folder, name))
      .filter(file => !this.#blobs.has(file))
      .map(file => ({ file, stats: statSync(file, { throwIfNoEntry: false }) }))
      .sort((a, b) => (b.stats?.mtimeMs ?? 0) - (a.stats?.mtimeMs ?? 0));
    let kept = 0;
    for (const { file, stats } of idle) {
      kept += stats?.size ?? 0;
      if (!stats || kept > KEEP_BYTES || Date.now() - stats.mtimeMs > KEEP_MS) rmSync(file, { force: true });
    }
  }
}

export interface HeldBlob {
  readonly file: string;
  /** Bytes of it that are here. */
  arrived(): number;
  /** Resolves when the file is whole and verified. */
  bring(origin: BlobOrigin, signal: AbortSignal): Promise<void>;
  /** `keep`: what is here may serve another attempt. */
  release(keep: boolean): void;
}

import { createHash, randomUUID } from 'node:crypto';
import {
  chmodSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Content by its sha256. A blob is either whole or not there: written aside, then renamed. */
export class Blobs {
  readonly #folder: string;
  readonly #incoming: string;

  constructor(home: string) {
    this.#folder = path.join(home, 'blobs');
    this.#incoming = path.join(this.#folder, 'incoming');
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true, mode: 0o700 });
  }

  path(sha256: string): string {
    return path.join(this.#folder, sha256.slice(0, 2), sha256);
  }

  has(sha256: string): boolean {
    return existsSync(this.path(sha256));
  }

  read(sha256: string): Buffer {
    return readFileSync(this.path(sha256));
  }

  put(bytes: Buffer): { readonly sha256: string; readonly size: number } {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (this.has(sha256)) this.#renew(sha256);
    else {
      const incoming = path.join(this.#incoming, randomUUID());
      writeFileSync(incoming, bytes, { mode: 0o600, flush: true });
      this.#keep(incoming, sha256);
    }
    return { sha256, size: bytes.length };
  }

  /** Streams a file in; it may be of any size. */
  async putFile(source: string, signal: AbortSignal): Promise<{ readonly sha256: string; readonly size: number }> {
    const incoming = path.join(this.#incoming, randomUUID());
    const hash = createHash('sha256');
    const hashing = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    try {
      await pipeline(createReadStream(source), hashing, createWriteStream(incoming, { mode: 0o600, flush: true }), {
        signal,
      });
      const sha256 = hash.digest('hex');
      const { size } = statSync(incoming);
      if (this.has(sha256)) this.#renew(sha256);
      else this.#keep(incoming, sha256);
      return { sha256, size };
    } finally {
      rmSync(incoming, { force: true });
    }
  }

  /** Makes it young, so that it is not collected before it is written down who needs it. Its other times are a tree's too. */
  #renew(sha256: string): void {
    const blob = this.path(sha256);
    chmodSync(blob, statSync(blob).mode & 0o7777);
  }

  #keep(incoming: string, sha256: string): void {
    const target = this.path(sha256);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
    renameSync(incoming, target);
  }
}

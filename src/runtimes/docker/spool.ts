import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import type { StreamEnd } from '../runtime.ts';

/** Appends one stream of a process to its spool: raw bytes up to a cap; what comes beyond is counted and dropped. */
export class Spool {
  readonly #fd: number;
  readonly #cap: number;
  #length: number;
  #dropped = 0;
  /** Of what is told again after an engine restart, so much is in the spool already. */
  #known: number;
  #failure: Error | undefined;

  constructor(file: string, cap: number, options: { readonly again: boolean }) {
    this.#fd = openSync(file, constants.O_WRONLY | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0));
    this.#length = fstatSync(this.#fd).size;
    this.#known = options.again ? this.#length : 0;
    this.#cap = cap;
  }

  get length(): number {
    return this.#length;
  }

  get received(): number {
    return this.#length + this.#dropped;
  }

  /** Resolves when it may be given more; a full disk is told at the end, the process goes on. */
  async append(bytes: Buffer): Promise<void> {
    const skipped = Math.min(this.#known, bytes.length);
    this.#known -= skipped;
    const fresh = bytes.subarray(skipped);
    const kept = this.#failure ? fresh.subarray(0, 0) : fresh.subarray(0, Math.max(0, this.#cap - this.#length));
    this.#dropped += fresh.length - kept.length;
    for (let done = 0; done < kept.length && !this.#failure; ) {
      try {
        const written = await writeSome(this.#fd, kept.subarray(done));
        done += written;
        this.#length += written;
      } catch (error) {
        this.#failure = error as Error;
      }
    }
  }

  close(): StreamEnd {
    closeSync(this.#fd);
    if (this.#failure) throw this.#failure;
    return { bytes: this.#length, capped: this.#dropped > 0 };
  }
}

function writeSome(fd: number, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => (error ? reject(error) : resolve(written)));
  });
}

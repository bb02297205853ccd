import { closeSync, constants, fstatSync, openSync, unlinkSync, write, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { StreamEnd } from '../../runtime.ts';

/** A write is a copy into the disk cache, unless that is full: then it waits for the disk, and others must not wait with it. */
const slowMs = 4;
/** So many writes go another way after a slow one. */
const writesAside = 64;

/** Appends one stream of a process to its spool: raw bytes up to a cap, then drained and counted. One chunk in memory at most. */
export class OutputSpool {
  readonly #fd: number;
  readonly #cap: number;
  #length: number;
  #dropped = 0;
  #writing = false;
  #aside = 0;
  #failure: Error | undefined;
  #ended: (() => void) | undefined;

  constructor(file: string, cap: number) {
    this.#fd = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
    this.#length = fstatSync(this.#fd).size;
    this.#cap = cap;
    unlinkSync(file);
  }

  get length(): number {
    return this.#length;
  }

  /** Also what was dropped. */
  get received(): number {
    return this.#length + this.#dropped;
  }

  get writing(): boolean {
    return this.#writing;
  }

  /** Reads the pipe to its end. Resolves when all of it is in the file. */
  drain(pipe: Socket, arrived: () => void): Promise<void> {
    pipe.on('data', (chunk: Buffer) => this.#append(chunk, pipe, arrived));
    // A pipe that breaks has nothing more to say; what came is kept.
    pipe.on('error', () => pipe.destroy());
    return new Promise(resolve => {
      pipe.on('close', () => {
        if (this.#writing) this.#ended = resolve;
        else resolve();
      });
    });
  }

  /** Answers what is in the spool, or says why it is not whole. */
  close(): StreamEnd {
    closeSync(this.#fd);
    if (this.#failure) throw this.#failure;
    return { bytes: this.#length, capped: this.#dropped > 0 };
  }

  #append(chunk: Buffer, pipe: Socket, arrived: () => void): void {
    const kept = this.#failure ? chunk.subarray(0, 0) : chunk.subarray(0, Math.max(0, this.#cap - this.#length));
    this.#dropped += chunk.length - kept.length;
    if (kept.length === 0) return;
    if (this.#aside === 0) {
      const started = performance.now();
      this.#keep(() => writeWhole(this.#fd, kept), kept.length);
      if (performance.now() - started > slowMs) this.#aside = writesAside;
      arrived();
      return;
    }
    this.#aside--;
    pipe.pause();
    this.#writing = true;
    write(this.#fd, kept, 0, kept.length, null, (error, written) => {
      this.#keep(() => {
        if (error) throw error;
        if (written < kept.length) writeWhole(this.#fd, kept.subarray(written));
      }, kept.length);
      this.#writing = false;
      arrived();
      this.#ended?.();
      pipe.resume();
    });
  }

  #keep(put: () => void, bytes: number): void {
    try {
      put();
      this.#length += bytes;
    } catch (error) {
      // The process goes on and its output is drained; the failure is told when it ends.
      this.#failure = error as Error;
    }
  }
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

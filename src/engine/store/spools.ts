import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { StreamName } from '../../protocol/events.ts';

export interface SpoolFiles {
  readonly stdout: string;
  readonly stderr: string;
  readonly cap: number;
}

/** Per stream; what a process writes beyond it is counted and dropped. */
const DEFAULT_CAP = 1_073_741_824;

/** Whole outputs on disk, one file a stream. Runtimes append; the engine only reads. */
export class Spools {
  readonly folder: string;
  readonly #cap: number;

  constructor(home: string, cap = DEFAULT_CAP) {
    this.folder = path.join(home, 'spool');
    this.#cap = cap;
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Makes the files, empty, for a runtime to append to. */
  open(source: string): SpoolFiles {
    for (const stream of ['stdout', 'stderr'] as const) closeSync(openSync(this.#file(source, stream), 'a', 0o600));
    return { stdout: this.#file(source, 'stdout'), stderr: this.#file(source, 'stderr'), cap: this.#cap };
  }

  size(source: string, stream: StreamName): number {
    return statSync(this.#file(source, stream), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** A process that wrote nothing may have no file. */
  read(
    source: string,
    stream: StreamName,
    offset: number,
    length: number,
  ): { readonly bytes: Buffer; readonly size: number } {
    let file: number;
    try {
      file = openSync(this.#file(source, stream), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { bytes: Buffer.alloc(0), size: 0 };
      throw error;
    }
    try {
      const { size } = fstatSync(file);
      const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
      let filled = 0;
      while (filled < bytes.length) {
        const got = readSync(file, bytes, filled, bytes.length - filled, offset + filled);
        if (got === 0) break;
        filled += got;
      }
      return { bytes: bytes.subarray(0, filled), size };
    } finally {
      closeSync(file);
    }
  }

  remove(source: string): void {
    rmSync(this.#file(source, 'stdout'), { force: true });
    rmSync(this.#file(source, 'stderr'), { force: true });
  }

  /** Removes the output of everything that is not known any more. */
  reap(known: ReadonlySet<string>): void {
    for (const name of readdirSync(this.folder)) {
      const source = name.replace(/\.(stdout|stderr)$/, '');
      if (!known.has(source)) this.remove(source);
    }
  }

  #file(source: string, stream: StreamName): string {
    return path.join(this.folder, `${source}.${stream}`);
  }
}

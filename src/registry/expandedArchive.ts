import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CoppiceError } from '../protocol/errors.ts';

/** Between two looks at what is free, and what stays free. */
const LOOK_EVERY = 64 * 1_048_576;
const RESERVE = 256 * 1_048_576;

export type Packing = 'plain' | 'gzip' | 'zstd';

export function packingOf(head: Buffer): Packing {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  return head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'plain';
}

/** `docker save | gzip` has to be a plain tar before it can be read in place; a file that goes with its reader. */
export class ExpandedArchives {
  readonly #folder: string;

  constructor(home: string) {
    this.#folder = path.join(home, 'registry', 'expanded');
    // Whatever lies there is an engine's that ended before it could clean up.
    rmSync(this.#folder, { recursive: true, force: true });
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  async expand(file: string, packing: Exclude<Packing, 'plain'>, signal: AbortSignal): Promise<string> {
    const expanded = path.join(this.#folder, randomUUID());
    const unpack = packing === 'gzip' ? createGunzip() : createZstdDecompress();
    const flow: Readable = createReadStream(file, { highWaterMark: 1 << 20 });
    try {
      await pipeline(flow, unpack, this.#leavingRoom(), createWriteStream(expanded, { mode: 0o600, flags: 'wx' }), {
        signal,
      });
      return expanded;
    } catch (error) {
      rmSync(expanded, { force: true });
      throw /^Z_|^ZSTD_/.test((error as NodeJS.ErrnoException).code ?? '')
        ? new CoppiceError('import_failed', `${file} is damaged: ${(error as Error).message}`)
        : error;
    }
  }

  /** A few kilobytes can expand to a disk full. */
  #leavingRoom(): Transform {
    const folder = this.#folder;
    let since = LOOK_EVERY;
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        since += chunk.length;
        if (since < LOOK_EVERY) return done(null, chunk);
        since = 0;
        statfs(folder).then(
          ({ bavail, bsize }) => (bavail * bsize > RESERVE ? done(null, chunk) : done(noRoom())),
          done,
        );
      },
    });
  }
}

function noRoom(): CoppiceError {
  return new CoppiceError('disk_full', 'there is no room to expand the archive', {
    fix: 'Free space (`coppice prune` removes unused images), then try again.',
  });
}

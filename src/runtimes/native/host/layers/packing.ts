import type { Readable } from 'node:stream';
import * as zlib from 'node:zlib';
import { CoppiceError } from '../../../../protocol/errors.ts';
import { ZstdFrames } from './zstdFrames.ts';

/** Larger pieces than zlib's own 16 KB: each costs a round through the thread pool. */
const chunkSize = 512 << 10;
const headBytes = 6;

const packings = [
  { name: 'gzip', magic: [0x1f, 0x8b], open: () => zlib.createGunzip({ chunkSize }) },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], open: openZstd },
  // Skippable frames, which tools put before the first one of content.
  { name: 'zstd', magic: [0x50, 0x2a, 0x4d, 0x18], open: openZstd },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], open: () => unsupported('xz') },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], open: () => unsupported('bzip2') },
] as const;

/** How an archive is unpacked, told by its first bytes: nothing for a plain one. */
export function packingOf(head: Buffer): readonly NodeJS.ReadWriteStream[] {
  const packing = packings.find(({ magic }) => magic.every((byte, index) => head[index] === byte));
  return packing === undefined ? [] : [packing.open()];
}

/** The first bytes; they stay in the stream. */
export async function takeHead(source: Readable): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < headBytes) {
    const chunk = await nextChunk(source);
    if (chunk === undefined) break;
    head = Buffer.concat([head, chunk]);
  }
  if (head.length > 0) source.unshift(head);
  return head;
}

function nextChunk(source: Readable): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const chunk = source.read() as Buffer | null;
      if (chunk === null && !source.readableEnded) return;
      settle(() => resolve(chunk ?? undefined));
    };
    const end = () => settle(() => resolve(undefined));
    const fail = (error: Error) => settle(() => reject(error));
    const settle = (then: () => void) => {
      source.off('readable', look).off('end', end).off('error', fail).off('close', end);
      then();
    };
    source.on('readable', look).on('end', end).on('error', fail).on('close', end);
    look();
  });
}

function openZstd(): NodeJS.ReadWriteStream {
  if (typeof zlib.createZstdDecompress === 'function') return new ZstdFrames(chunkSize);
  throw new CoppiceError('unsupported', 'this Node cannot read zstd', {
    fix: 'Decompress the archive with `zstd -d`, or use Node 22.15 or later.',
  });
}

function unsupported(name: string): never {
  throw new CoppiceError('unsupported', `the archive is compressed with ${name}`, {
    fix: 'Decompress it first, or make a tar.gz or tar.zst of it.',
  });
}

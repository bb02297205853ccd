import { createHash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { CoppiceError } from '../../protocol/errors.ts';
import { type BytePath, forSystem, toText } from '../../workspace/bytePath.ts';
import type { FileNode } from './tree.ts';

/** Where blobs live, for the worker that writes them. */
export interface BlobFolder {
  path(sha256: string): string;
  has(sha256: string): boolean;
  /** A fresh name beside the blobs, to be renamed into place. */
  incoming(): string;
}

/** Two changes within the clock's grain can leave the same times. Kernel ticks are 4 ms; some filesystems are coarser. */
const GRAIN_MS = 50;
/** Each waits twice as long as the one before: who writes in bursts comes to an end. */
const ATTEMPTS = 8;
const SMALL = 1 << 20;
/** One byte more than is expected, so that a file that grew shows it. */
const buffer = Buffer.allocUnsafe(SMALL + 1);

const ZEROES = Buffer.alloc(SMALL);
const SLEEP = new Int32Array(new SharedArrayBuffer(4));

export type Stored = { readonly node: FileNode; readonly written: number };

/**
 * Reads one file into the store and says what it is. A file that changes while it is read is read again, so a state
 * never holds half of one version and half of another. `undefined`: it vanished, or is no longer a file.
 */
export function storeFile(
  place: BytePath,
  path: BytePath,
  blobs: BlobFolder,
  signal: { readonly aborted: boolean },
): Stored | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) Atomics.wait(SLEEP, 0, 0, 2 ** (attempt - 1));
    const file = openFile(place, path);
    if (file === undefined) return undefined;
    try {
      const before = fstatSync(file);
      if (!before.isFile()) return undefined;
      const startedAt = Date.now();
      const content = before.size <= SMALL ? storeSmall(file, before, blobs) : storeLarge(file, blobs, signal);
      const after = fstatSync(file);
      if (content && content.size === after.size && sameVersion(before, after))
        return { node: nodeOf(after, content.sha256, startedAt), written: content.written };
    } finally {
      closeSync(file);
    }
  }
  throw new CoppiceError('conflict', `${toText(path)} keeps changing while it is read`, {
    field: 'source',
    fix: 'Sync again when its writer is done, or exclude it.',
    data: { path: toText(path) },
  });
}

/** `place` is where the system finds it, `path` what people call it. */
function openFile(place: BytePath, path: BytePath): number | undefined {
  try {
    return openSync(forSystem(place), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO') return undefined;
    if (code === 'EACCES' || code === 'EPERM') throw unreadable(path);
    throw error;
  }
}

export function unreadable(path: BytePath): CoppiceError {
  return new CoppiceError('path_not_found', `cannot read ${toText(path)}: permission denied`, {
    field: 'source',
    fix: 'Make it readable, or exclude it.',
    data: { path: toText(path) },
  });
}

export const sameVersion = (a: Stats, b: Stats): boolean =>
  a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.ino === b.ino;

function nodeOf(stats: Stats, sha256: string, readAt: number): FileNode {
  return {
    kind: 'file',
    mode: stats.mode & 0o7777,
    size: stats.size,
    sha256,
    mtime: stats.mtimeMs,
    ctime: stats.ctimeMs,
    ino: stats.ino,
    racy: Math.max(stats.mtimeMs, stats.ctimeMs) > readAt - GRAIN_MS,
  };
}

interface Content {
  readonly sha256: string;
  readonly size: number;
  /** Bytes that were new to the store. */
  readonly written: number;
}

/** Whole in memory: known content costs a read and a hash, nothing is written. */
function storeSmall(file: number, stats: Stats, blobs: BlobFolder): Content | undefined {
  // A file that grew fills the byte too many; one that shrank gives less. Either is read again.
  const size = readSync(file, buffer, 0, stats.size + 1, 0);
  if (size !== stats.size) return undefined;
  const bytes = buffer.subarray(0, size);
  const sha256 = hash('sha256', bytes, 'hex');
  if (blobs.has(sha256)) return { sha256, size, written: 0 };
  keepAs(sha256, blobs, target => {
    for (let at = 0; at < size; ) at += writeSync(target, bytes, at, size - at);
    return sha256;
  });
  return { sha256, size, written: size };
}

function storeLarge(file: number, blobs: BlobFolder, signal: { readonly aborted: boolean }): Content {
  const hash = createHash('sha256');
  let size = 0;
  const { sha256, isNew } = keepAs(undefined, blobs, target => {
    for (;;) {
      if (signal.aborted) throw new DOMException('aborted', 'AbortError');
      const got = readSync(file, buffer, 0, SMALL, size);
      if (got === 0) break;
      const bytes = buffer.subarray(0, got);
      hash.update(bytes);
      // A hole stays a hole.
      if (!bytes.equals(ZEROES.subarray(0, got)))
        for (let at = 0; at < got; ) at += writeSync(target, bytes, at, got - at, size + at);
      size += got;
    }
    ftruncateSync(target, size);
    return hash.digest('hex');
  });
  return { sha256, size, written: isNew ? size : 0 };
}

/** Written aside and renamed when whole; content that turns out to be known is dropped again. */
function keepAs(
  expected: string | undefined,
  blobs: BlobFolder,
  write: (target: number) => string,
): { readonly sha256: string; readonly isNew: boolean } {
  const incoming = blobs.incoming();
  const target = openSync(incoming, 'wx', 0o600);
  let kept = false;
  try {
    const sha256 = write(target);
    if (expected === undefined && blobs.has(sha256)) return { sha256, isNew: false };
    renameSync(incoming, blobs.path(sha256));
    kept = true;
    return { sha256, isNew: true };
  } finally {
    closeSync(target);
    if (!kept) unlinkSync(incoming);
  }
}

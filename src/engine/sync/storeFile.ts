import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { CoppiceError } from '../../protocol/errors.ts';
import { type BytePath, forSystem, toText } from './bytePath.ts';
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
const ATTEMPTS = 5;
const SMALL = 1 << 20;
const buffer = Buffer.allocUnsafe(SMALL);

export type Stored = { readonly node: FileNode; readonly written: number };

/**
 * Reads one file into the store and says what it is. A file that changes while it is read is read again, so a state
 * never holds half of one version and half of another. `undefined`: it vanished, or is no longer a file.
 */
export function storeFile(path: BytePath, blobs: BlobFolder): Stored | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const file = openFile(path);
    if (file === undefined) return undefined;
    try {
      const before = fstatSync(file);
      if (!before.isFile()) return undefined;
      const startedAt = Date.now();
      const content = before.size <= SMALL ? storeSmall(file, before, blobs) : storeLarge(file, blobs);
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

function openFile(path: BytePath): number | undefined {
  try {
    return openSync(forSystem(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
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
  let size = 0;
  for (let got = -1; got !== 0; size += got) {
    if (size === buffer.length) return undefined; // It grew over what is read at once: the next attempt sees its size.
    got = readSync(file, buffer, size, buffer.length - size, size);
  }
  const bytes = buffer.subarray(0, size);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (size !== stats.size || blobs.has(sha256)) return { sha256, size, written: 0 };
  const incoming = blobs.incoming();
  const target = openSync(incoming, 'wx', 0o600);
  try {
    for (let at = 0; at < size; ) at += writeSync(target, bytes, at, size - at);
    // The first to hold this content gives the blob its time, so that a state's tree can link to it.
    futimesSync(target, stats.mtimeMs / 1000, stats.mtimeMs / 1000);
  } finally {
    closeSync(target);
  }
  renameSync(incoming, blobs.path(sha256));
  return { sha256, size, written: size };
}

function storeLarge(file: number, blobs: BlobFolder): Content {
  const incoming = blobs.incoming();
  const target = openSync(incoming, 'wx', 0o600);
  let kept = false;
  try {
    const hash = createHash('sha256');
    let size = 0;
    for (;;) {
      const got = readSync(file, buffer, 0, buffer.length, size);
      if (got === 0) break;
      hash.update(buffer.subarray(0, got));
      for (let at = 0; at < got; ) at += writeSync(target, buffer, at, got - at);
      size += got;
    }
    const sha256 = hash.digest('hex');
    if (blobs.has(sha256)) return { sha256, size, written: 0 };
    renameSync(incoming, blobs.path(sha256));
    kept = true;
    return { sha256, size, written: size };
  } finally {
    closeSync(target);
    if (!kept) unlinkSync(incoming);
  }
}

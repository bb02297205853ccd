import * as fs from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openRooted, RootedError, type RootedFolder } from '../../paths/rooted.ts';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import { encodeHeader, TAR_END, tarPadding } from '../../registry/tarEncode.ts';
import type { Dockerignore } from './dockerignore.ts';

/** Files up to here are read whole, and again when they changed meanwhile. */
const smallFile = 4 * 1024 * 1024;
const piece = 1024 * 1024;
const attempts = 5;
const longestText = 1024 * 1024;
/** Others get their turn that often. */
const turnMs = 10;

export interface ContextOptions {
  readonly folder: string;
  readonly ignore: Dockerignore;
  /** Instead of what the folder has under these names. */
  readonly own: ReadonlyMap<string, Buffer>;
  readonly sent: (bytes: number) => void;
}

/**
 * The folder of a build as a tar, a piece at a time: root's files with their modes and times, links as links. Nothing outside
 * the folder is read, whatever links lie in it. A file is as it was at one moment, or the build is told.
 */
export async function* contextTar(options: ContextOptions): AsyncGenerator<Buffer> {
  const root = openRooted(options.folder);
  let turn = Date.now();
  let total = 0;
  try {
    for (const bytes of entries(root, options)) {
      total += bytes.length;
      yield bytes;
      if (Date.now() - turn < turnMs) continue;
      options.sent(total);
      await nextTurn();
      turn = Date.now();
    }
    yield TAR_END;
    options.sent(total);
  } finally {
    root.close();
  }
}

/** undefined: it has none. Links are followed inside the folder only. */
export function readIgnoreFile(folder: string, name = '.dockerignore'): string | undefined {
  const root = openRooted(folder);
  try {
    const fd = whileThere(name, () => root.openFile(name));
    if (fd === undefined) return undefined;
    try {
      if (fs.fstatSync(fd).size > longestText) throw unreadable(name, 'it is far too large');
      return fs.readFileSync(fd, 'utf8');
    } finally {
      fs.closeSync(fd);
    }
  } finally {
    root.close();
  }
}

function* entries(root: RootedFolder, { ignore, own }: ContextOptions): Generator<Buffer> {
  for (const [name, content] of own) {
    yield encodeHeader({ name: bytes(name), size: content.length, mode: 0o644 });
    yield content;
    yield tarPadding(content.length);
  }
  yield* folder(root, '', ignore, own);
}

function* folder(
  root: RootedFolder,
  above: string,
  ignore: Dockerignore,
  own: ContextOptions['own'],
): Generator<Buffer> {
  const names = whileThere(above, () => root.list(above === '' ? '.' : above).map(entry => entry.name)) ?? [];
  for (const name of names.sort()) {
    const file = above === '' ? name : `${above}/${name}`;
    if (own.has(file)) continue;
    const out = ignore.leavesOut(file);
    if (out && !ignore.isEntered(file)) continue;
    if (name.includes('\uFFFD')) throw unreadable(file, 'its name is no UTF-8');
    const stats = whileThere(file, () => root.lstat(file));
    if (!stats) continue;
    if (!out) yield* entry(root, file, stats);
    if (stats.isDirectory()) yield* folder(root, file, ignore, own);
  }
}

/** Sockets, pipes and devices are nothing that an image could hold of this machine. */
function* entry(root: RootedFolder, file: string, stats: fs.Stats): Generator<Buffer> {
  const header = { name: bytes(file), mode: stats.mode & 0o7777, mtime: stats.mtimeMs / 1000 };
  if (stats.isDirectory()) yield encodeHeader({ ...header, name: `${header.name}/`, type: 'directory' });
  else if (stats.isSymbolicLink()) {
    const link = whileThere(file, () => root.readlink(file));
    if (link) yield encodeHeader({ ...header, type: 'link', mode: 0o777, link: link.toString('latin1') });
  } else if (stats.isFile()) yield* content(root, file);
}

function* content(root: RootedFolder, file: string): Generator<Buffer> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const fd = whileThere(file, () => root.openFile(file));
    if (fd === undefined) return;
    try {
      const before = fs.fstatSync(fd);
      const header = encodeHeader({
        name: bytes(file),
        mode: before.mode & 0o7777,
        size: before.size,
        mtime: before.mtimeMs / 1000,
      });
      if (before.size > smallFile) {
        yield header;
        yield* inPieces(fd, before.size);
        if (!isSame(before, fs.fstatSync(fd))) throw changed(file);
        yield tarPadding(before.size);
        return;
      }
      const whole = readPiece(fd, 0, before.size);
      if (whole.length < before.size || !isSame(before, fs.fstatSync(fd))) continue;
      yield header;
      yield whole;
      yield tarPadding(before.size);
      return;
    } finally {
      fs.closeSync(fd);
    }
  }
  throw changed(file);
}

/** What is missing at the end is filled: the header has said how much comes, and who asks looks whether it has changed. */
function* inPieces(fd: number, size: number): Generator<Buffer> {
  for (let at = 0; at < size; ) {
    const read = readPiece(fd, at, Math.min(piece, size - at));
    at += read.length;
    yield read.length > 0 ? read : Buffer.alloc(Math.min(piece, size - at));
    if (read.length === 0) return;
  }
}

function readPiece(fd: number, at: number, length: number): Buffer {
  const read = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const got = fs.readSync(fd, read, filled, length - filled, at + filled);
    if (got === 0) break;
    filled += got;
  }
  return read.subarray(0, filled);
}

const isSame = (before: fs.Stats, after: fs.Stats): boolean =>
  before.size === after.size && before.mtimeMs === after.mtimeMs && before.ctimeMs === after.ctimeMs;

/** Names are text, a tar holds bytes. */
const bytes = (name: string): string => Buffer.from(name).toString('latin1');

/** undefined: it vanished since its folder was read, as files do. */
function whileThere<T>(file: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof RootedError) {
      if (error.code === 'path_not_found') return undefined;
      throw unreadable(file, error.message);
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(file, code === 'EACCES' || code === 'EPERM' ? 'permission denied' : (error as Error).message);
  }
}

function unreadable(file: string, why: string): CoppiceError {
  return invalidInput(
    'context',
    `${file} cannot be read: ${why}`,
    'Leave it out by .dockerignore, or make it readable.',
  );
}

function changed(file: string): CoppiceError {
  return new CoppiceError('conflict', `${file} changes while it is being read`, {
    field: 'context',
    fix: 'Leave it out by .dockerignore, or build again when it is written.',
  });
}

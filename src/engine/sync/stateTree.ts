import {
  chmodSync,
  copyFileSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { type BytePath, forSystem } from '../../workspace/bytePath.ts';
import { HeldFolder } from './heldFolder.ts';
import type { BlobFolder } from './storeFile.ts';
import type { StoredEntry } from './tree.ts';

const LONG_PATH = 2_000;

/** Where a state's files come from, and to whom they shall belong. */
export interface TreeSource {
  readonly entries: (object: string) => readonly StoredEntry[];
  readonly blobs: BlobFolder;
  /** An earlier state's tree and root object: what is the same there is linked, not copied. */
  readonly earlier: { readonly folder: string; readonly object: string } | undefined;
  /** Owner on this machine, when it is not us. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** No inode may be shared with the store or another tree. */
  readonly copy: boolean;
}

/** Lays a state's tree out in an empty folder, with hard links wherever the same inode can serve. */
export function layOut(source: TreeSource, object: string, folder: string, mode: number, mtime: number): void {
  const earlier = source.earlier ? indexed(source, source.earlier.object) : undefined;
  fillFolder(
    source,
    object,
    Buffer.from(folder).toString('latin1'),
    earlier,
    source.earlier ? Buffer.from(source.earlier.folder).toString('latin1') : '',
  );
  finish(source, Buffer.from(folder).toString('latin1'), mode, mtime);
}

const indexed = (source: TreeSource, object: string): ReadonlyMap<BytePath, StoredEntry> =>
  new Map(source.entries(object).map(entry => [entry.name, entry]));

function fillFolder(
  source: TreeSource,
  object: string,
  path: BytePath,
  earlier: ReadonlyMap<BytePath, StoredEntry> | undefined,
  earlierPath: BytePath,
): void {
  for (const entry of source.entries(object)) {
    const target = `${path}/${entry.name}`;
    const before = earlier?.get(entry.name);
    const beforePath = `${earlierPath}/${entry.name}`;
    if (entry.kind === 'folder') {
      mkdirSync(forSystem(target), 0o700);
      const below = reach(target);
      const belowBefore = before?.kind === 'folder' ? reachEarlier(beforePath) : undefined;
      const inside = belowBefore && before ? indexed(source, before.value) : undefined;
      try {
        fillFolder(source, entry.value, below.place, inside, belowBefore?.place ?? '');
      } finally {
        below.close();
        belowBefore?.close();
      }
      finish(source, target, entry.mode, entry.mtime);
    } else if (entry.kind === 'link') {
      symlinkSync(forSystem(entry.value), forSystem(target));
      if (source.owner) lchownSync(forSystem(target), source.owner.uid, source.owner.gid);
      lutimesSync(forSystem(target), entry.mtime / 1000, entry.mtime / 1000);
    } else if (!(before && isSame(before, entry) && tryLink(beforePath, target))) fillFile(source, entry, target);
  }
}

/** No path may get longer than the system takes: from some length on a folder is reached by its descriptor. */
function reach(path: BytePath): Pick<HeldFolder, 'place' | 'close'> {
  return path.length < LONG_PATH ? { place: path, close: () => {} } : HeldFolder.open(path);
}

/** An earlier tree that cannot be read is as good as none. */
function reachEarlier(path: BytePath): Pick<HeldFolder, 'place' | 'close'> | undefined {
  try {
    return reach(path);
  } catch {
    return undefined;
  }
}

/** Times of a folder are set when nothing more is put into it. */
function finish(source: TreeSource, path: BytePath, mode: number, mtime: number): void {
  if (source.owner) lchownSync(forSystem(path), source.owner.uid, source.owner.gid);
  chmodSync(forSystem(path), mode);
  utimesSync(forSystem(path), mtime / 1000, mtime / 1000);
}

const isSame = (a: StoredEntry, b: StoredEntry): boolean =>
  a.kind === 'file' && a.value === b.value && a.mode === b.mode && a.mtime === b.mtime;

const NO_LINK: ReadonlySet<string> = new Set(['EMLINK', 'ENOENT', 'EXDEV', 'EPERM', 'EACCES']);

/** A file may have so many names and no more (65,000 on ext4). */
function tryLink(existing: BytePath, target: BytePath): boolean {
  try {
    linkSync(forSystem(existing), forSystem(target));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (NO_LINK.has(code ?? '')) return false;
    throw error;
  }
}

/** The blob itself serves the first file that has its content; one with another mode or time needs an inode of its own. */
function fillFile(source: TreeSource, entry: StoredEntry, target: BytePath): void {
  const blob = source.blobs.path(entry.value);
  const stats = lstatSync(blob);
  const unused = stats.nlink === 1;
  const fits =
    (stats.mode & 0o7777) === entry.mode &&
    Math.abs(stats.mtimeMs - entry.mtime) < 0.01 &&
    (!source.owner || (stats.uid === source.owner.uid && stats.gid === source.owner.gid));
  // With a mode that shuts us out too, the store could not read its own blob any more.
  const readable = (entry.mode & 0o400) !== 0 || process.geteuid?.() === 0;
  if (!source.copy && readable && (unused || fits) && tryLink(blob, target)) {
    if (!fits) dress(source, entry, target);
    return;
  }
  copyFileSync(blob, forSystem(target));
  dress(source, entry, target);
}

function dress(source: TreeSource, entry: StoredEntry, target: BytePath): void {
  if (source.owner) lchownSync(forSystem(target), source.owner.uid, source.owner.gid);
  chmodSync(forSystem(target), entry.mode);
  utimesSync(forSystem(target), entry.mtime / 1000, entry.mtime / 1000);
}

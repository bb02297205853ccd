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
  /** Owner on this machine, when it is not us. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** No inode may be shared with the store or another tree. */
  readonly copy: boolean;
}

interface Dress {
  readonly mode: number;
  readonly mtime: number;
}

/** The tree of an earlier state. */
interface Earlier {
  readonly entries: ReadonlyMap<BytePath, StoredEntry>;
  /** What is the same there is linked; undefined: that tree will lie under this one, and what is the same is left out. */
  readonly path: BytePath | undefined;
}

/** Lays a state's tree out in an empty folder, with hard links wherever the same inode can serve. */
export function layOut(
  source: TreeSource,
  object: string,
  folder: string,
  top: Dress,
  earlier: { readonly folder: string; readonly object: string } | undefined,
): void {
  const path = bytesOf(folder);
  const before = earlier && { entries: indexed(source, earlier.object), path: bytesOf(earlier.folder) };
  fillFolder(source, object, path, before);
  finish(source, path, top.mode, top.mtime);
}

/** Lays out only what differs from an earlier tree that it `canLieOver`. */
export function layOutDifference(source: TreeSource, before: string, object: string, folder: string, top: Dress): void {
  const path = bytesOf(folder);
  fillFolder(source, object, path, { entries: indexed(source, before), path: undefined });
  finish(source, path, top.mode, top.mtime);
}

/** More files than these are laid out whole: each stands in two trees, and the next state differs by still more. */
const mostDifferent = 256;

/**
 * Can what differs lie over the earlier tree so that both together look as the later one does, whatever lies below? Nothing
 * may be gone: what hides it in the tree would hide it in the image below too. For the same reason no folder may come where
 * something else was.
 */
export function canLieOver(entries: TreeSource['entries'], before: string, after: string): boolean {
  let left = mostDifferent;
  const compare = (before: string | undefined, after: string): boolean => {
    const old = new Map((before === undefined ? [] : entries(before)).map(entry => [entry.name, entry]));
    for (const entry of entries(after)) {
      const was = old.get(entry.name);
      old.delete(entry.name);
      if (was && isSame(was, entry)) continue;
      if (--left < 0) return false;
      if (entry.kind !== 'folder') continue;
      if (was && was.kind !== 'folder') return false;
      if (was?.value !== entry.value && !compare(was?.value, entry.value)) return false;
    }
    return old.size === 0;
  };
  return compare(before, after);
}

const bytesOf = (path: string): BytePath => Buffer.from(path).toString('latin1');

const indexed = (source: TreeSource, object: string): Earlier['entries'] =>
  new Map(source.entries(object).map(entry => [entry.name, entry]));

function fillFolder(source: TreeSource, object: string, path: BytePath, earlier: Earlier | undefined): void {
  for (const entry of source.entries(object)) {
    const target = `${path}/${entry.name}`;
    const before = earlier?.entries.get(entry.name);
    const same = before !== undefined && isSame(before, entry);
    if (same && earlier?.path === undefined) continue;
    if (entry.kind === 'folder') {
      mkdirSync(forSystem(target), 0o700);
      const below = reach(target);
      const belowBefore = before?.kind === 'folder' ? reachEarlier(earlier!, before) : undefined;
      try {
        const inside = belowBefore && { entries: indexed(source, before!.value), path: belowBefore.place };
        fillFolder(source, entry.value, below.place, inside);
      } finally {
        below.close();
        belowBefore?.close();
      }
      finish(source, target, entry.mode, entry.mtime);
    } else if (entry.kind === 'link') {
      symlinkSync(forSystem(entry.value), forSystem(target));
      if (source.owner) lchownSync(forSystem(target), source.owner.uid, source.owner.gid);
      lutimesSync(forSystem(target), entry.mtime / 1000, entry.mtime / 1000);
    } else if (!(same && tryLink(`${earlier!.path}/${entry.name}`, target))) fillFile(source, entry, target);
  }
}

/** No path may get longer than the system takes: from some length on a folder is reached by its descriptor. */
function reach(path: BytePath): Pick<HeldFolder, 'place' | 'close'> {
  return path.length < LONG_PATH ? { place: path, close: () => {} } : HeldFolder.open(path);
}

/** An earlier tree that cannot be read is as good as none. */
function reachEarlier(
  { path }: Earlier,
  folder: StoredEntry,
): { readonly place: BytePath | undefined; readonly close: () => void } | undefined {
  if (path === undefined) return { place: undefined, close: () => {} };
  try {
    return reach(`${path}/${folder.name}`);
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
  a.kind === b.kind && a.value === b.value && a.mode === b.mode && a.mtime === b.mtime;

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

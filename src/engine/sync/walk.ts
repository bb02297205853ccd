import { type Dirent, lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { type Excludes, IGNORE_FILES } from '../../workspace/excludes.ts';
import { type BytePath, forSystem, toText } from './bytePath.ts';
import { type BlobFolder, storeFile, unreadable } from './storeFile.ts';
import { type FileNode, type FolderNode, makeFolder, type Node } from './tree.ts';

/** One sync: what is counted on the way. */
export interface Walk {
  readonly source: BytePath;
  readonly blobs: BlobFolder;
  written: number;
  skipped: number;
  readonly signal: { readonly aborted: boolean };
}

/** A folder as it is now. What the stat cache (`known`) still vouches for is not read; excluded folders are not entered. */
export function walkFolder(
  walk: Walk,
  path: BytePath,
  known: FolderNode | undefined,
  outer: Excludes,
): FolderNode | undefined {
  if (walk.signal.aborted) throw new DOMException('aborted', 'AbortError');
  const stats = statOf(walk, path);
  if (!stats?.isDirectory()) return undefined;
  const dirents = list(walk, path);
  if (!dirents) return undefined;
  const ignores = readIgnores(walk, path, dirents, outer);
  const excludes = outer.inside(toText(path), ignores);
  const entries: [BytePath, Node][] = [];
  for (const dirent of dirents) {
    const name = dirent.name as BytePath;
    const node = walkEntry(walk, join(path, name), known?.entries.get(name), excludes, dirent.isDirectory());
    if (node) entries.push([name, node]);
  }
  return makeFolder(stats.mode & 0o7777, stats.mtimeMs, entries, ignores);
}

/** One entry as it is now; undefined when it is excluded, gone, or of a kind that is never synced. */
export function walkEntry(
  walk: Walk,
  path: BytePath,
  known: Node | undefined,
  excludes: Excludes,
  directory: boolean,
): Node | undefined {
  if (excludes.excludes(toText(path), directory)) return undefined;
  if (directory) return walkFolder(walk, path, known?.kind === 'folder' ? known : undefined, excludes);
  const stats = statOf(walk, path);
  if (!stats) return undefined;
  if (stats.isDirectory()) return walkEntry(walk, path, known, excludes, true);
  if (stats.isSymbolicLink()) return readLink(walk, path, stats);
  if (!stats.isFile()) {
    walk.skipped++;
    return undefined;
  }
  if (known?.kind === 'file' && vouches(known, stats))
    return known.mode === (stats.mode & 0o7777) ? known : { ...known, mode: stats.mode & 0o7777 };
  const stored = storeFile(absolute(walk, path), walk.blobs);
  if (!stored) return undefined;
  walk.written += stored.written;
  return stored.node;
}

const vouches = (known: FileNode, stats: Stats): boolean =>
  !known.racy &&
  known.size === stats.size &&
  known.mtime === stats.mtimeMs &&
  known.ctime === stats.ctimeMs &&
  known.ino === stats.ino;

export const join = (folder: BytePath, name: BytePath): BytePath => (folder === '' ? name : `${folder}/${name}`);
export const absolute = (walk: Walk, path: BytePath): BytePath =>
  path === '' ? walk.source : `${walk.source}/${path}`;

export function statOf(walk: Walk, path: BytePath): Stats | undefined {
  try {
    return lstatSync(forSystem(absolute(walk, path)));
  } catch (error) {
    return goneOrThrow(walk, path, error);
  }
}

function list(walk: Walk, path: BytePath): Dirent<string>[] | undefined {
  try {
    return readdirSync(forSystem(absolute(walk, path)), { withFileTypes: true, encoding: 'latin1' });
  } catch (error) {
    return goneOrThrow(walk, path, error);
  }
}

/** What vanishes while we walk is not an error; what we may not read is, and is named. */
function goneOrThrow(walk: Walk, path: BytePath, error: unknown): undefined {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  if (code === 'EACCES' || code === 'EPERM' || errno === -osConstants.errno.EACCES)
    throw unreadable(absolute(walk, path));
  throw error;
}

function readLink(walk: Walk, path: BytePath, stats: Stats): Node | undefined {
  try {
    const target = readlinkSync(forSystem(absolute(walk, path)), { encoding: 'buffer' });
    return { kind: 'link', target: target.toString('latin1'), mtime: stats.mtimeMs };
  } catch (error) {
    return goneOrThrow(walk, path, error);
  }
}

function readIgnores(
  walk: Walk,
  path: BytePath,
  dirents: readonly Dirent<string>[],
  excludes: Excludes,
): Record<string, string> {
  const ignores: Record<string, string> = {};
  for (const file of IGNORE_FILES) {
    if (!excludes.files.includes(file) || !dirents.some(dirent => dirent.name === file && dirent.isFile())) continue;
    try {
      ignores[file] = readFileSync(forSystem(absolute(walk, join(path, file))), 'utf8');
    } catch (error) {
      goneOrThrow(walk, join(path, file), error);
    }
  }
  return ignores;
}

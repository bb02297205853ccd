import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
} from 'node:fs';
import { CoppiceError } from '../../protocol/errors.ts';
import { type BytePath, forSystem, toText } from '../../workspace/bytePath.ts';
import { type Excludes, IGNORE_FILES } from '../../workspace/excludes.ts';
import { HeldFolder } from './heldFolder.ts';
import { type BlobFolder, storeFile, unreadable } from './storeFile.ts';
import { type FileNode, type FolderNode, makeFolder, type Node } from './tree.ts';

/** One sync: what is counted on the way. */
export interface Walk {
  readonly source: BytePath;
  readonly blobs: BlobFolder;
  /** A folder that is never entered: the store, which would swallow itself. */
  readonly leaveOut: { readonly dev: number; readonly ino: number } | undefined;
  written: number;
  skipped: number;
  /** One more file was read. */
  readonly read: () => void;
  readonly signal: { readonly aborted: boolean };
}

/** One name in the source. */
export interface At {
  /** From the source down, for rules and for people. */
  readonly path: BytePath;
  /** For system calls: through the descriptor of the folder that holds it. */
  readonly place: BytePath;
}

/** More rules than anybody wrote by hand; without a bound one file could fill the memory. */
const LONGEST_RULES = 4 << 20;

/** Each level takes a descriptor and a part of the stack. */
const DEEPEST = 1_000;

export const top = (walk: Walk): At => ({ path: '', place: walk.source });
export const inside = (at: At, folder: HeldFolder, name: BytePath): At => ({
  path: at.path === '' ? name : `${at.path}/${name}`,
  place: `${folder.place}/${name}`,
});

/** A folder as it is now. What the stat cache (`known`) still vouches for is not read; excluded folders are not entered. */
export function walkFolder(walk: Walk, at: At, known: FolderNode | undefined, outer: Excludes): FolderNode | undefined {
  return holding(walk, at, folder => {
    const dirents = list(walk, at, folder);
    if (!dirents) return undefined;
    const ignores = readIgnores(walk, at, folder, dirents, outer);
    const excludes = outer.inside(at.path, ignores);
    const entries: [BytePath, Node][] = [];
    for (const dirent of dirents) {
      const name = dirent.name as BytePath;
      const node = walkEntry(walk, inside(at, folder, name), known?.entries.get(name), excludes, kindOf(dirent));
      if (node) entries.push([name, node]);
    }
    return known && isUnchanged(known, folder.stats, entries, ignores)
      ? known
      : makeFolder(folder.stats.mode & 0o7777, folder.stats.mtimeMs, entries, ignores);
  });
}

/** Nodes are never changed, so the same node is the same content: nothing needs to be hashed again. */
const isUnchanged = (
  known: FolderNode,
  stats: Stats,
  entries: readonly (readonly [BytePath, Node])[],
  ignores: FolderNode['ignores'],
): boolean =>
  known.mode === (stats.mode & 0o7777) &&
  known.mtime === stats.mtimeMs &&
  known.entries.size === entries.length &&
  entries.every(([name, node]) => known.entries.get(name) === node) &&
  IGNORE_FILES.every(file => known.ignores[file] === ignores[file]);

/** Opens a folder for as long as `use` takes; undefined when it is gone, no folder any more, or never synced. */
export function holding<T>(walk: Walk, at: At, use: (folder: HeldFolder) => T | undefined): T | undefined {
  if (walk.signal.aborted) throw new DOMException('aborted', 'AbortError');
  if (depthOf(at.path) > DEEPEST) throw tooDeep(absolute(walk, at), `more than ${DEEPEST} folders`);
  let folder: HeldFolder;
  try {
    folder = HeldFolder.open(at.place);
  } catch (error) {
    return goneOrThrow(walk, at, error);
  }
  try {
    const { dev, ino } = folder.stats;
    return walk.leaveOut?.ino === ino && walk.leaveOut.dev === dev ? undefined : use(folder);
  } finally {
    folder.close();
  }
}

function depthOf(path: BytePath): number {
  let depth = 0;
  for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) depth++;
  return depth;
}

type Kind = 'directory' | 'file' | 'other';
const kindOf = (dirent: Dirent<string>): Kind =>
  dirent.isDirectory() ? 'directory' : dirent.isFile() ? 'file' : 'other';

/** One entry as it is now; undefined when it is excluded, gone, or of a kind that is never synced. */
export function walkEntry(
  walk: Walk,
  at: At,
  known: Node | undefined,
  excludes: Excludes,
  kind: Kind,
): Node | undefined {
  if (excludes.excludes(at.path, kind === 'directory')) return undefined;
  if (kind === 'directory') return walkFolder(walk, at, known?.kind === 'folder' ? known : undefined, excludes);
  // Nothing to compare it with: reading it says all there is to know.
  if (kind === 'file' && known?.kind !== 'file') {
    const read = readFile(walk, at);
    if (read) return read;
  }
  const stats = statOf(walk, at);
  if (!stats) return undefined;
  if (stats.isDirectory()) return walkEntry(walk, at, known, excludes, 'directory');
  if (stats.isSymbolicLink()) return readLink(walk, at, known, stats);
  if (!stats.isFile()) {
    walk.skipped++;
    return undefined;
  }
  return known?.kind === 'file' && vouches(known, stats) ? known : readFile(walk, at);
}

function readFile(walk: Walk, at: At): FileNode | undefined {
  const stored = storeFile(at.place, absolute(walk, at), walk.blobs, walk.signal);
  walk.written += stored?.written ?? 0;
  walk.read();
  return stored?.node;
}

const vouches = (known: FileNode, stats: Stats): boolean =>
  !known.racy &&
  known.size === stats.size &&
  known.mode === (stats.mode & 0o7777) &&
  known.mtime === stats.mtimeMs &&
  known.ctime === stats.ctimeMs &&
  known.ino === stats.ino;

const absolute = (walk: Walk, at: At): BytePath => (at.path === '' ? walk.source : `${walk.source}/${at.path}`);

export function statOf(walk: Walk, at: At): Stats | undefined {
  try {
    return lstatSync(forSystem(at.place));
  } catch (error) {
    return goneOrThrow(walk, at, error);
  }
}

function list(walk: Walk, at: At, folder: HeldFolder): Dirent<string>[] | undefined {
  try {
    return readdirSync(forSystem(folder.place), { withFileTypes: true, encoding: 'latin1' });
  } catch (error) {
    return goneOrThrow(walk, at, error);
  }
}

/** What vanishes while we walk is not an error; what we may not or cannot read is, and is named. */
function goneOrThrow(walk: Walk, at: At, error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ELOOP':
      return undefined;
    case 'EACCES':
    case 'EPERM':
      throw unreadable(absolute(walk, at));
    case 'EMFILE':
    case 'ENFILE':
    case 'ENAMETOOLONG':
      throw tooDeep(absolute(walk, at), code);
    default:
      throw error;
  }
}

function tooDeep(path: BytePath, reason: string): CoppiceError {
  return new CoppiceError('invalid_input', `cannot go as deep as ${toText(path)} (${reason})`, {
    field: 'source',
    fix: reason.startsWith('E') ? 'Exclude it, or allow more open files: ulimit -n.' : 'Exclude it.',
    data: { path: toText(path) },
  });
}

function readLink(walk: Walk, at: At, known: Node | undefined, stats: Stats): Node | undefined {
  try {
    const target = readlinkSync(forSystem(at.place), { encoding: 'buffer' }).toString('latin1');
    const mtime = stats.mtimeMs;
    return known?.kind === 'link' && known.target === target && known.mtime === mtime
      ? known
      : { kind: 'link', target, mtime };
  } catch (error) {
    // It is no link any more: whoever changed it will be seen next time.
    return (error as NodeJS.ErrnoException).code === 'EINVAL' ? undefined : goneOrThrow(walk, at, error);
  }
}

function readIgnores(
  walk: Walk,
  at: At,
  folder: HeldFolder,
  dirents: readonly Dirent<string>[],
  excludes: Excludes,
): Record<string, string> {
  const ignores: Record<string, string> = {};
  for (const file of IGNORE_FILES) {
    if (!excludes.files.includes(file) || !dirents.some(dirent => dirent.name === file && dirent.isFile())) continue;
    const text = readRules(walk, inside(at, folder, file));
    if (text !== undefined) ignores[file] = text;
  }
  return ignores;
}

/** As git does: a link is not followed, and a pipe in its place is not waited for. */
function readRules(walk: Walk, at: At): string | undefined {
  let file: number;
  try {
    file = openSync(forSystem(at.place), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return goneOrThrow(walk, at, error);
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) return undefined;
    if (stats.size > LONGEST_RULES)
      throw new CoppiceError('invalid_input', `${toText(absolute(walk, at))} is too long for a file of rules`, {
        field: 'source',
        fix: 'Shorten it to 4 MB, or exclude it.',
        data: { path: toText(absolute(walk, at)) },
      });
    return readFileSync(file, 'latin1');
  } finally {
    closeSync(file);
  }
}

import type { Dirent, PathLike, Stats } from 'node:fs';

/** A path or a name; bytes where it is not UTF-8. */
export type Name = string | Buffer;

export type RootedErrorCode =
  | 'path_not_found'
  | 'path_escapes'
  | 'not_a_directory'
  | 'not_a_file'
  | 'already_exists'
  | 'too_many_links';

export class RootedError extends Error {
  readonly code: RootedErrorCode;
  readonly path: string;

  constructor(code: RootedErrorCode, path: Name, message: string) {
    super(`${path.toString()}: ${message}`);
    this.name = 'RootedError';
    this.code = code;
    this.path = path.toString();
  }
}

/** A file that does not exist under its name until it is committed. */
export interface PendingFile {
  readonly fd: number;
  /** Gives it its name, replacing a file or a link that has it. Closes `fd`. */
  commit(): void;
  /** As if it had never been. Closes `fd`; does nothing after a commit. */
  abandon(): void;
}

export interface CreateOptions {
  readonly mode: number;
  /** Write to where a link at `path` points; default: the link itself is replaced. */
  readonly follow?: boolean;
  /** Default true. */
  readonly overwrite?: boolean;
}

/**
 * A folder whose content nobody here trusts. Paths start at it, with or without a slash; nothing outside it is ever
 * read or written, whatever links lie in it and whoever changes them meanwhile.
 */
export interface RootedFolder {
  /** Of what `path` names, links followed. */
  stat(path: Name): Stats;
  /** Of what `path` names, a link for itself. */
  lstat(path: Name): Stats;
  readlink(path: Name): Buffer;
  list(path: Name): Dirent[];
  /** A descriptor to read a regular file; anything else is refused without being opened, so a FIFO never hangs. */
  openFile(path: Name): number;
  createFile(path: Name, options: CreateOptions): PendingFile;
  /** A descriptor that appends to a regular file, made when it is missing. */
  appendFile(path: Name, mode: number): number;
  /** Makes a folder and those above it; one that is there is left as it is. */
  makeFolder(path: Name, mode?: number): void;
  symlink(target: Name, path: Name): void;
  /** A file, a link or a whole tree; what is not there is no error. */
  remove(path: Name): void;
  /** Modification time, a link's own. */
  setTime(path: Name, mtime: Date): void;
  /** Of a file or a folder; a link's target is left alone. */
  setMode(path: Name, mode: number): void;
  close(): void;
}

export function components(path: Name): Name[] {
  if (typeof path === 'string') {
    if (path.includes('\0')) throw new RootedError('path_not_found', path.replaceAll('\0', '\\0'), 'holds a zero byte');
    return path.split('/').filter(isStep);
  }
  // latin1 keeps every byte; names that are text become strings again because those are cheaper to pass on.
  return path.toString('latin1').split('/').filter(isStep).map(fromBytes);
}

function isStep(name: string): boolean {
  return name !== '' && name !== '.';
}

function fromBytes(latin1: string): Name {
  const bytes = Buffer.from(latin1, 'latin1');
  const text = bytes.toString();
  return text.includes('\uFFFD') ? bytes : text;
}

export function join(folder: string, name: Name): PathLike {
  return typeof name === 'string' ? `${folder}/${name}` : Buffer.concat([Buffer.from(`${folder}/`), name]);
}

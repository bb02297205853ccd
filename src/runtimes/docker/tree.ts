import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract, type Header } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';

/** One file, folder or link of an image; names one character a byte. */
export interface TreeEntry {
  readonly path: string;
  readonly type: FileEntry['type'];
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Milliseconds. */
  readonly mtime: number;
  /** Where a link leads. */
  readonly link: string | null;
  /** Of a file's content; times in an archive are whole seconds, and an edit may take less. */
  readonly hash: string;
}

/** Every entry of an image or of a folder in it, read once out of an archive. Immutable, as images are. */
export class Tree {
  readonly #entries = new Map<string, TreeEntry>();
  readonly #children = new Map<string, string[]>();

  /** Reads a tar whose names are relative to the folder `above`. */
  static async read(archive: NodeJS.ReadableStream, above: string, signal?: AbortSignal): Promise<Tree> {
    const tree = new Tree();
    tree.#entries.set('/', { ...folder, path: '/' });
    const from = (name: string) => (above === '/' ? name : `${above}${name === '/' ? '' : name}`);
    const placed = (entry: TreeEntry) => ({
      ...entry,
      path: from(entry.path),
      link: entry.type === 'file' && entry.link !== null ? from(posix.resolve('/', entry.link)) : entry.link,
    });
    await readEntries(archive, entry => tree.#add(placed(entry)), signal);
    for (const names of tree.#children.values()) names.sort();
    return tree;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Without following it when it is a link itself. */
  look(path: string): TreeEntry | undefined {
    return this.#entries.get(path);
  }

  children(path: string): readonly TreeEntry[] {
    const start = path === '/' ? '' : path;
    return (this.#children.get(path) ?? []).map(name => this.#entries.get(`${start}/${name}`)!);
  }

  /** A name and all below it, in the order in which they can be removed. */
  deepestFirst(path: string): string[] {
    if (!this.#entries.has(path)) return [];
    return [...this.children(path).flatMap(entry => this.deepestFirst(entry.path)), path];
  }

  #add(entry: TreeEntry): void {
    if (!this.#entries.has(entry.path)) {
      const parent = posix.dirname(entry.path);
      if (!this.#entries.has(parent)) this.#add({ ...folder, path: parent });
      const names = this.#children.get(parent) ?? [];
      names.push(posix.basename(entry.path));
      this.#children.set(parent, names);
    }
    this.#entries.set(entry.path, this.#whole(entry));
  }

  /** A file with several names comes once with its content and then as links to the first. */
  #whole(entry: TreeEntry): TreeEntry {
    if (entry.type !== 'file' || entry.link === null) return entry;
    const first = this.#entries.get(entry.link);
    return first ? { ...first, path: entry.path } : { ...entry, link: null };
  }
}

const folder = { type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, mtime: 0, link: null, hash: '' } as const;

/** A tar's entries in order; a tar that breaks off is an error. */
export async function readEntries(
  archive: NodeJS.ReadableStream,
  take: (entry: TreeEntry) => void,
  signal?: AbortSignal,
): Promise<void> {
  // The published types leave its options out.
  const parser = (extract as (options: { filenameEncoding: 'latin1' }) => Extract)({ filenameEncoding: 'latin1' });
  parser.on('error', () => {});
  parser.on('entry', (header, content, next) => {
    const hash = header.type === 'file' ? createHash('sha1') : undefined;
    content.on('error', () => {});
    content.on('data', bytes => hash?.update(bytes as Buffer));
    content.on('end', () => {
      const entry = entryOf(header, hash?.digest('base64') ?? '');
      if (entry) take(entry);
      next();
    });
    content.resume();
  });
  await pipeline(archive as Readable, parser as unknown as Writable, signal ? { signal } : {});
}

/** A pax header is UTF-8, which the parser has read as text already; all else came as bytes. */
function entryOf(header: Header, hash: string): TreeEntry | undefined {
  const pax = (header.pax ?? {}) as { readonly path?: string; readonly linkpath?: string };
  const name = pax.path === undefined ? header.name : asBytes(pax.path);
  const link = pax.linkpath === undefined ? (header.linkname ?? null) : asBytes(pax.linkpath);
  const path = posix.resolve('/', name);
  const type = types[header.type ?? 'file'] ?? 'other';
  const entry: TreeEntry = {
    path,
    type,
    size: type === 'file' ? header.size : type === 'link' ? (link?.length ?? 0) : 0,
    mode: header.mode & 0o7777,
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    mtime: header.mtime.getTime(),
    link: type === 'link' || header.type === 'link' ? link : null,
    hash,
  };
  return isStub(entry) ? undefined : entry;
}

const stubs = new Set(['/dev/console', '/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/run/.containerenv']);

/** What the daemon itself puts into a container's root, for it to mount something there. */
function isStub(entry: TreeEntry): boolean {
  if (entry.path === '/etc/mtab') return entry.link === '/proc/mounts';
  return stubs.has(entry.path) && entry.type === 'file' && entry.size === 0 && (entry.mode & 0o111) !== 0;
}

const types: Readonly<Record<string, FileEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  link: 'file',
  symlink: 'link',
  directory: 'directory',
};

const asBytes = (text: string): string => Buffer.from(text).toString('latin1');
export const shown = (path: string): string => Buffer.from(path, 'latin1').toString();

export function normal(path: string): string {
  return Buffer.from(posix.resolve('/', path)).toString('latin1');
}

export function fileEntry(entry: TreeEntry): FileEntry {
  return {
    path: shown(entry.path),
    name: shown(posix.basename(entry.path)) || '/',
    type: entry.type,
    size: entry.size,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    mtime: new Date(entry.mtime).toISOString(),
    link: entry.type === 'link' ? shown(entry.link ?? '') : null,
  };
}

export function notThere(path: string): CoppiceError {
  return new CoppiceError('path_not_found', `${shown(path)} is not in the image`, {
    fix: `List ${posix.dirname(shown(path))} to see what is there.`,
    data: { path: shown(path) },
  });
}
export function notAFolder(path: string): CoppiceError {
  return new CoppiceError('not_a_directory', `${shown(path)} does not lead through folders only`, {
    fix: `List ${posix.dirname(shown(path))} to see what is there.`,
    data: { path: shown(path) },
  });
}
export function notAFile(path: string): CoppiceError {
  return new CoppiceError('not_a_file', `${shown(path)} is not a file`, { data: { path: shown(path) } });
}

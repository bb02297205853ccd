import * as fs from 'node:fs';
import * as path from 'node:path';
import { byDescriptor, type LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { RootedError } from '../../../../paths/rooted.ts';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { FileEntry } from '../../../../protocol/schemas/files.ts';
import type { GrepOptions, GrepResult } from '../../../runtime.ts';
import { bytes, namesOf, text } from '../layers/bytePaths.ts';
import { archiveTo } from './archive.ts';
import { globView } from './glob.ts';
import { grepView } from './grep.ts';
import type { View } from './views.ts';

/** A page is held in memory and crosses to the engine as one message. */
const maxPage = 16 * 1024 * 1024;

/** The files of one image. Paths are absolute inside it; links lead nowhere else. */
export class ViewFiles {
  readonly #image: string;
  readonly #use: <T>(use: (view: View) => T | Promise<T>) => Promise<T>;

  constructor(image: string, use: <T>(use: (view: View) => T | Promise<T>) => Promise<T>) {
    this.#image = image;
    this.#use = use;
  }

  /** A link is answered as itself. */
  stat(name: string): Promise<FileEntry> {
    return this.#within(name, ({ root }) => entryAt(root, normal(name)));
  }

  list(name: string): Promise<readonly FileEntry[]> {
    return this.#within(name, ({ root }) => listFolder(root, normal(name)));
  }

  read(name: string, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number }> {
    return this.#within(name, ({ root }) => {
      const fd = root.openFile(name);
      try {
        const bytes = Buffer.alloc(Math.max(0, Math.min(length, maxPage, fs.fstatSync(fd).size - offset)));
        return { bytes: bytes.subarray(0, readWhole(fd, bytes, offset)), size: fs.fstatSync(fd).size };
      } finally {
        fs.closeSync(fd);
      }
    });
  }

  glob(pattern: string, signal?: AbortSignal): Promise<readonly FileEntry[]> {
    return this.#within(pattern, view => globView(view.root, pattern, signal));
  }

  grep(options: GrepOptions): Promise<GrepResult> {
    return this.#within(options.path, view => grepView(view.root, options));
  }

  /** Writes a tar to `output`; resolves when it went out whole. */
  archive(name: string, output: import('node:net').Socket, signal?: AbortSignal): Promise<void> {
    return this.#within(name, view => archiveTo(view.root, name, output, signal));
  }

  async #within<T>(name: string, use: (view: View) => T | Promise<T>): Promise<T> {
    try {
      return await this.#use(use);
    } catch (error) {
      throw asCoppiceError(error, `image ${this.#image}`, name);
    }
  }
}

/** Errors of a path inside an image or a sandbox, for people. */
export function asCoppiceError(error: unknown, where: string, name: string): unknown {
  if (error instanceof RootedError) {
    const code = error.code === 'too_many_links' ? 'path_not_found' : error.code;
    return new CoppiceError(code, `${where}: ${error.message}`, {
      fix: `List ${path.posix.dirname(normal(name))} to see what is there.`,
      data: { path: name },
    });
  }
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'EACCES' || code === 'EPERM') {
    return new CoppiceError(
      'path_not_found',
      `${where}: ${name} may not be read: it is private to the machine's root`,
      {
        fix: 'Choose a file that every user of this machine may read.',
        data: { path: name },
      },
    );
  }
  return error;
}

export function entryAt(root: LinuxRootedFolder, name: string): FileEntry {
  return root.at(name, {}, place => fileEntry(name, place));
}

export function listFolder(root: LinuxRootedFolder, folder: string): FileEntry[] {
  const fd = root.openFolder(folder);
  try {
    const here = byDescriptor(fd);
    return namesOf(here)
      .map(name => fileEntry(path.posix.join(folder, text(name)), bytes(`${here}/${name}`)))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    fs.closeSync(fd);
  }
}

/** `name` is shown, `place` is where it is. */
export function fileEntry(name: string, place: fs.PathLike): FileEntry {
  const stats = fs.lstatSync(place);
  return {
    path: name,
    name: path.posix.basename(name) || '/',
    type: typeOf(stats),
    size: stats.size,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    mtime: stats.mtime.toISOString(),
    link: stats.isSymbolicLink() ? fs.readlinkSync(place) : null,
  };
}

export function typeOf(stats: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }) {
  if (stats.isFile()) return 'file' as const;
  if (stats.isDirectory()) return 'directory' as const;
  return stats.isSymbolicLink() ? ('link' as const) : ('other' as const);
}

export function normal(name: string): string {
  const absolute = path.posix.normalize(`/${name}`);
  return absolute.length > 1 && absolute.endsWith('/') ? absolute.slice(0, -1) : absolute;
}

function readWhole(fd: number, bytes: Buffer, offset: number): number {
  let done = 0;
  while (done < bytes.length) {
    const count = fs.readSync(fd, bytes, done, bytes.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import {
  type CreateOptions,
  components,
  join,
  type Name,
  type PendingFile,
  RootedError,
  type RootedFolder,
} from './rootedFolder.ts';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
const O_PATH = 0o10000000;
const asFolder = O_PATH | O_NOFOLLOW | O_DIRECTORY;
/** As many links as the kernel itself would follow. */
const maxLinks = 40;
/** How often a name may change its kind under our hands before we give up. */
const maxRaces = 100;

/**
 * Every step of a path is opened by itself, relative to the descriptor of the step before (`/proc/self/fd/N/name`,
 * Node's way to openat), and never through a link. `..` is the folder we came from, not the kernel's idea of it. So
 * there is no moment between a check and a use.
 */
export class LinuxRootedFolder implements RootedFolder {
  readonly #root: number;

  constructor(root: string | number) {
    this.#root = typeof root === 'number' ? root : fs.openSync(root, O_PATH | O_DIRECTORY);
  }

  stat(path: Name): fs.Stats {
    for (let race = 0; race < maxRaces; race++) {
      const stats = this.at(path, { follow: true }, place => fs.lstatSync(place));
      if (!stats.isSymbolicLink()) return stats;
    }
    throw new RootedError('too_many_links', path, 'changes all the time');
  }

  lstat(path: Name): fs.Stats {
    return this.at(path, {}, place => fs.lstatSync(place));
  }

  readlink(path: Name): Buffer {
    return this.at(path, {}, place => fs.readlinkSync(place, { encoding: 'buffer' }));
  }

  list(path: Name): fs.Dirent[] {
    const folder = this.openFolder(path);
    try {
      return fs.readdirSync(byDescriptor(folder), { withFileTypes: true });
    } finally {
      fs.closeSync(folder);
    }
  }

  openFile(path: Name): number {
    const found = this.#open(path, O_PATH | O_NOFOLLOW);
    try {
      if (!fs.fstatSync(found).isFile()) throw new RootedError('not_a_file', path, 'is not a regular file');
      // The very inode that was looked at, whatever the name stands for by now.
      return fs.openSync(byDescriptor(found), O_RDONLY | O_NONBLOCK);
    } finally {
      fs.closeSync(found);
    }
  }

  /** For what belongs to this class only: the caller closes the descriptor. */
  openFolder(path: Name): number {
    return this.#open(path, asFolder);
  }

  createFile(path: Name, options: CreateOptions): PendingFile {
    const place = this.#resolve(path, options.follow ?? false, undefined);
    try {
      if (place.name === undefined) throw new RootedError('not_a_file', path, 'is a folder');
      const folder = place.folders.pop()!;
      return new LinuxPendingFile(folder === this.#root ? duplicate(folder) : folder, place.name, path, options);
    } catch (error) {
      throw explained(error, path);
    } finally {
      this.#closeAll(place);
    }
  }

  appendFile(path: Name, mode: number): number {
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
    const fd = this.#open(path, flags, mode);
    if (fs.fstatSync(fd).isFile()) return fd;
    fs.closeSync(fd);
    throw new RootedError('not_a_file', path, 'is not a regular file');
  }

  makeFolder(path: Name, mode = 0o755): void {
    const place = this.#resolve(path, true, mode);
    try {
      if (place.name === undefined) return;
      makeOrKeep(join(byDescriptor(place.folders.at(-1)!), place.name), mode);
      fs.closeSync(fs.openSync(join(byDescriptor(place.folders.at(-1)!), place.name), asFolder));
    } catch (error) {
      throw explained(error, path);
    } finally {
      this.#closeAll(place);
    }
  }

  symlink(target: Name, path: Name): void {
    this.at(path, { below: true }, (_, folder, name) => {
      const temporary = join(folder, temporaryName());
      fs.symlinkSync(target, temporary);
      try {
        fs.renameSync(temporary, join(folder, name));
      } catch (error) {
        fs.unlinkSync(temporary);
        throw error;
      }
    });
  }

  remove(path: Name): void {
    try {
      this.at(path, { below: true }, place => removeTree(place));
    } catch (error) {
      if (!(error instanceof RootedError && error.code === 'path_not_found')) throw error;
    }
  }

  setTime(path: Name, mtime: Date): void {
    this.at(path, {}, place => fs.lutimesSync(place, mtime, mtime));
  }

  setMode(path: Name, mode: number): void {
    const found = this.#open(path, O_PATH | O_NOFOLLOW, undefined, false);
    try {
      if (!fs.fstatSync(found).isSymbolicLink()) fs.chmodSync(byDescriptor(found), mode & 0o7777);
    } finally {
      fs.closeSync(found);
    }
  }

  close(): void {
    fs.closeSync(this.#root);
  }

  /**
   * Runs `use` with a kernel path whose every step but the last is fixed by a descriptor: whatever system call is made
   * with it must not follow a link at its end.
   */
  at<T>(
    path: Name,
    how: { readonly follow?: boolean; readonly below?: boolean; readonly make?: number },
    use: (place: fs.PathLike, folder: string, name: Name) => T,
  ): T {
    const place = this.#resolve(path, how.follow ?? false, how.make);
    try {
      const folder = byDescriptor(place.folders.at(-1)!);
      if (place.name !== undefined) return use(join(folder, place.name), folder, place.name);
      if (how.below) throw new RootedError('already_exists', path, 'is the root or a folder above');
      return use(`${folder}/.`, folder, '.');
    } catch (error) {
      throw explained(error, path);
    } finally {
      this.#closeAll(place);
    }
  }

  #open(path: Name, flags: number, mode?: number, follow = true): number {
    for (let race = 0; race < maxRaces; race++) {
      const fd = this.at(path, { follow }, place => openOrLink(place, flags, mode));
      if (fd === 'link') continue;
      // O_PATH | O_NOFOLLOW opens a link as itself.
      if (!follow || (flags & O_PATH) === 0 || !fs.fstatSync(fd).isSymbolicLink()) return fd;
      fs.closeSync(fd);
    }
    throw new RootedError('too_many_links', path, 'changes all the time');
  }

  #resolve(path: Name, followLast: boolean, make: number | undefined): Place {
    const place: Place = { folders: [this.#root], name: undefined };
    const pending = components(path).reverse();
    let links = 0;
    try {
      for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
        if (step === '..') {
          if (place.folders.length > 1) fs.closeSync(place.folders.pop()!);
          continue;
        }
        const here = join(byDescriptor(place.folders.at(-1)!), step);
        const last = pending.length === 0;
        if (last && !followLast) return { ...place, name: step };
        const target = last ? readLink(here) : this.#enter(place, here, path, make);
        if (target === undefined) {
          if (last) return { ...place, name: step };
          continue;
        }
        links++;
        if (links > maxLinks) throw new RootedError('too_many_links', path, `more than ${maxLinks} links`);
        if (target[0] === 0x2f) this.#closeAll(place);
        pending.push(...components(target).reverse());
      }
      return place;
    } catch (error) {
      this.#closeAll(place);
      throw explained(error, path);
    }
  }

  /** Goes one folder down, or answers where the link in its place points. */
  #enter(place: Place, here: fs.PathLike, path: Name, make: number | undefined): Buffer | undefined {
    for (let race = 0; race < maxRaces; race++) {
      try {
        place.folders.push(fs.openSync(here, asFolder));
        return undefined;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === 'ENOENT' && make !== undefined) {
          makeOrKeep(here, make);
          continue;
        }
        if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
        const target = readLink(here);
        if (target !== undefined) return target;
        // No link, and no folder a moment ago: look again only if it became one meanwhile.
        if (!fs.lstatSync(here).isDirectory()) throw new RootedError('not_a_directory', path, 'leads through a file');
      }
    }
    throw new RootedError('too_many_links', path, 'changes all the time');
  }

  /** All but the root. */
  #closeAll(place: Place): void {
    for (const fd of place.folders.splice(1)) fs.closeSync(fd);
    place.folders[0] = this.#root;
  }
}

interface Place {
  /** Descriptors from the root down to the folder that holds `name`. */
  readonly folders: number[];
  /** undefined: the path is that folder itself. */
  readonly name: Name | undefined;
}

class LinuxPendingFile implements PendingFile {
  readonly fd: number;
  readonly #folder: number;
  readonly #temporary = temporaryName();
  readonly #name: Name;
  readonly #path: Name;
  readonly #overwrite: boolean;
  #open = true;

  constructor(folder: number, name: Name, path: Name, options: CreateOptions) {
    this.#folder = folder;
    this.#name = name;
    this.#path = path;
    this.#overwrite = options.overwrite ?? true;
    try {
      this.fd = fs.openSync(this.#at(this.#temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      fs.fchmodSync(this.fd, options.mode & 0o7777);
    } catch (error) {
      fs.closeSync(folder);
      throw error;
    }
  }

  commit(): void {
    if (!this.#open) return;
    try {
      // link() fails when the name is taken, and so is an atomic "create, never replace".
      if (this.#overwrite) fs.renameSync(this.#at(this.#temporary), this.#at(this.#name));
      else fs.linkSync(this.#at(this.#temporary), this.#at(this.#name));
    } catch (error) {
      this.abandon();
      throw explained(error, this.#path);
    }
    if (!this.#overwrite) fs.unlinkSync(this.#at(this.#temporary));
    this.#close();
  }

  abandon(): void {
    if (!this.#open) return;
    try {
      fs.unlinkSync(this.#at(this.#temporary));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    } finally {
      this.#close();
    }
  }

  #at(name: Name): fs.PathLike {
    return join(byDescriptor(this.#folder), name);
  }

  #close(): void {
    this.#open = false;
    fs.closeSync(this.fd);
    fs.closeSync(this.#folder);
  }
}

export function byDescriptor(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function duplicate(folder: number): number {
  return fs.openSync(byDescriptor(folder), O_PATH | O_DIRECTORY);
}

function temporaryName(): string {
  return `.coppice-${crypto.randomBytes(8).toString('hex')}`;
}

function readLink(here: fs.PathLike): Buffer | undefined {
  try {
    return fs.readlinkSync(here, { encoding: 'buffer' });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EINVAL' || code === 'ENOENT') return undefined;
    throw error;
  }
}

function openOrLink(place: fs.PathLike, flags: number, mode: number | undefined): number | 'link' {
  try {
    return fs.openSync(place, flags, mode);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ELOOP' || (code === 'ENOTDIR' && fs.lstatSync(place).isSymbolicLink())) return 'link';
    throw error;
  }
}

function makeOrKeep(place: fs.PathLike, mode: number): void {
  try {
    fs.mkdirSync(place, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Depth first, each folder by its descriptor. A folder that is swapped for a link meanwhile is unlinked, not entered. */
function removeTree(place: fs.PathLike): void {
  try {
    fs.unlinkSync(place);
    return;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return;
    if (code !== 'EISDIR' && code !== 'EPERM') throw error;
  }
  const folder = fs.openSync(place, asFolder);
  try {
    const here = byDescriptor(folder);
    for (const name of fs.readdirSync(here, { encoding: 'buffer' })) removeTree(join(here, name));
  } finally {
    fs.closeSync(folder);
  }
  fs.rmdirSync(place);
}

function explained(error: unknown, path: Name): unknown {
  if (error instanceof RootedError) return error;
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return new RootedError('path_not_found', path, 'is not there');
    case 'ENOTDIR':
      return new RootedError('not_a_directory', path, 'is not a folder');
    case 'EISDIR':
      return new RootedError('not_a_file', path, 'is a folder');
    case 'EEXIST':
    case 'ENOTEMPTY':
      return new RootedError('already_exists', path, 'is there already');
    case 'ENXIO':
      return new RootedError('not_a_file', path, 'is not a regular file');
    default:
      return error;
  }
}

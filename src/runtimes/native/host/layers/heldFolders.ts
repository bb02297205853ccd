import * as fs from 'node:fs';
import { byDescriptor, type LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { bytes } from './bytePaths.ts';
import { TarError } from './tarError.ts';
import { shown } from './tarHeader.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;
const asFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const mostHeld = 64;

/** A folder of the tree, open. */
export interface HeldFolder {
  readonly fd: number;
  /** Where it really is below the root, no link in it; '' is the root. A byte path. */
  readonly place: string;
}

/**
 * Folders of a tree that is being unpacked, held open: most entries follow their siblings. Each is opened from the one above
 * and never through a link; a link on the way is followed inside the tree. Nobody else changes the tree meanwhile.
 */
export class HeldFolders {
  readonly #root: LinuxRootedFolder;
  /** Of the root on this machine. */
  readonly #path: string;
  /** By the path that entries use, least recently used first. */
  readonly #held = new Map<string, HeldFolder>();
  readonly #onImplied: (place: string) => void;

  /** `onImplied`: told of folders that are made because something is to lie in them. */
  constructor(root: LinuxRootedFolder, path: string, onImplied: (place: string) => void) {
    this.#root = root;
    this.#path = path;
    this.#onImplied = onImplied;
  }

  /** Made when it is missing. Valid until the next call. */
  open(steps: readonly string[]): HeldFolder {
    const key = steps.join('/');
    const held = this.#held.get(key);
    if (held === undefined) return this.#hold(key, this.#find(steps));
    this.#held.delete(key);
    this.#held.set(key, held);
    return held;
  }

  /** Something that may be a folder, or lead to one, is about to go. */
  clear(): void {
    for (const { fd } of this.#held.values()) fs.closeSync(fd);
    this.#held.clear();
  }

  #hold(key: string, folder: HeldFolder): HeldFolder {
    if (this.#held.size >= mostHeld) {
      const [oldest, { fd }] = this.#held.entries().next().value!;
      fs.closeSync(fd);
      this.#held.delete(oldest);
    }
    this.#held.set(key, folder);
    return folder;
  }

  #find(steps: readonly string[]): HeldFolder {
    if (steps.length === 0) return { fd: this.#root.openFolder(''), place: '' };
    const above = this.open(steps.slice(0, -1));
    const name = steps.at(-1)!;
    const here = at(above, name);
    const place = inFolder(above.place, name);
    try {
      return { fd: fs.openSync(here, asFolder), place };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') {
        fs.mkdirSync(here, 0o755);
        this.#onImplied(place);
        return { fd: fs.openSync(here, asFolder), place };
      }
      if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
    }
    if (!fs.lstatSync(here).isSymbolicLink()) throw new TarError(`${shown(steps.join('/'))} leads through a file`);
    return this.#through(steps);
  }

  /** Links: from the root, step by step, never out of it. */
  #through(steps: readonly string[]): HeldFolder {
    const path = bytes(steps.join('/'));
    this.#root.makeFolder(path);
    const fd = this.#root.openFolder(path);
    const real = fs.readlinkSync(byDescriptor(fd), { encoding: 'buffer' }).toString('latin1');
    return { fd, place: real.slice(this.#path.length + 1) };
  }
}

export function at(folder: HeldFolder, name: string): fs.PathLike {
  const path = `${byDescriptor(folder.fd)}/${name}`;
  // Bytes that are no ASCII have to be passed on as they are.
  return /^[\0-\x7f]*$/.test(name) ? path : bytes(path);
}

export function inFolder(place: string, name: string): string {
  return place === '' ? name : `${place}/${name}`;
}

export function folderOf(place: string): string {
  return place.slice(0, Math.max(place.lastIndexOf('/'), 0));
}

export function nameOf(place: string): string {
  return place.slice(place.lastIndexOf('/') + 1);
}

import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as nodePath from 'node:path';
import {
  type CreateOptions,
  components,
  type Name,
  type PendingFile,
  RootedError,
  type RootedFolder,
} from './rootedFolder.ts';

/**
 * For machines without /proc/self/fd: the real path of the folder is compared with the root's before each use. A link
 * that leads out is refused instead of being read inside the root. Whoever can change the folder between the check and
 * the use could win; it serves folders of the same user only.
 */
export class PortableRootedFolder implements RootedFolder {
  readonly #root: string;

  constructor(root: string) {
    this.#root = fs.realpathSync(root);
  }

  stat(path: Name): fs.Stats {
    return fs.statSync(this.#existing(path));
  }

  lstat(path: Name): fs.Stats {
    return explained(path, () => fs.lstatSync(this.#place(path)));
  }

  readlink(path: Name): Buffer {
    return explained(path, () => fs.readlinkSync(this.#place(path), { encoding: 'buffer' }));
  }

  list(path: Name): fs.Dirent[] {
    return explained(path, () => fs.readdirSync(this.#existing(path), { withFileTypes: true }));
  }

  openFile(path: Name): number {
    const place = this.#existing(path);
    if (!fs.statSync(place).isFile()) throw new RootedError('not_a_file', path, 'is not a regular file');
    return fs.openSync(place, 'r');
  }

  createFile(path: Name, options: CreateOptions): PendingFile {
    const place = options.follow && this.#exists(path) ? this.#existing(path) : this.#place(path);
    const temporary = nodePath.join(nodePath.dirname(place), temporaryName());
    const fd = explained(path, () => fs.openSync(temporary, 'wx', options.mode & 0o7777));
    let open = true;
    const close = () => {
      open = false;
      fs.closeSync(fd);
    };
    return {
      fd,
      commit: () => {
        if (!open) return;
        close();
        try {
          if (options.overwrite ?? true) fs.renameSync(temporary, place);
          else fs.linkSync(temporary, place);
        } catch (error) {
          fs.unlinkSync(temporary);
          explained(path, () => {
            throw error;
          });
        }
        if (!(options.overwrite ?? true)) fs.unlinkSync(temporary);
      },
      abandon: () => {
        if (!open) return;
        close();
        fs.rmSync(temporary, { force: true });
      },
    };
  }

  appendFile(path: Name, mode: number): number {
    const place = this.#exists(path) ? this.#existing(path) : this.#place(path);
    return explained(path, () => fs.openSync(place, 'a', mode));
  }

  makeFolder(path: Name, mode = 0o755): void {
    let place = this.#root;
    for (const step of this.#steps(path)) {
      place = nodePath.join(place, step);
      explained(path, () => fs.mkdirSync(place, { recursive: true, mode }));
      place = this.#inside(fs.realpathSync(place), path);
    }
  }

  symlink(target: Name, path: Name): void {
    const place = this.#place(path);
    const temporary = nodePath.join(nodePath.dirname(place), temporaryName());
    fs.symlinkSync(target, temporary);
    fs.renameSync(temporary, place);
  }

  remove(path: Name): void {
    if (this.#steps(path).length === 0) throw new RootedError('already_exists', path, 'is the root');
    try {
      fs.rmSync(this.#place(path), { recursive: true, force: true });
    } catch (error) {
      if (!(error instanceof RootedError && error.code === 'path_not_found')) throw error;
    }
  }

  setTime(path: Name, mtime: Date): void {
    explained(path, () => fs.lutimesSync(this.#place(path), mtime, mtime));
  }

  setMode(path: Name, mode: number): void {
    const place = this.#place(path);
    if (!fs.lstatSync(place).isSymbolicLink()) fs.chmodSync(place, mode & 0o7777);
  }

  close(): void {}

  /** The folder part resolved and checked, the last name as it is. */
  #place(path: Name): string {
    const steps = this.#steps(path);
    const name = steps.pop();
    const folder = explained(path, () => fs.realpathSync(nodePath.join(this.#root, ...steps)));
    this.#inside(folder, path);
    return name === undefined ? folder : nodePath.join(folder, name);
  }

  #existing(path: Name): string {
    return this.#inside(
      explained(path, () => fs.realpathSync(this.#place(path))),
      path,
    );
  }

  #exists(path: Name): boolean {
    return fs.existsSync(this.#place(path));
  }

  #inside(real: string, path: Name): string {
    if (real !== this.#root && !real.startsWith(this.#root + nodePath.sep)) {
      throw new RootedError('path_escapes', path, 'leads outside through a link');
    }
    return real;
  }

  /** `..` is taken back by text and never leaves the root. */
  #steps(path: Name): string[] {
    const steps: string[] = [];
    for (const step of components(path)) {
      if (step === '..') steps.pop();
      else steps.push(step.toString());
    }
    return steps;
  }
}

function temporaryName(): string {
  return `.coppice-${crypto.randomBytes(8).toString('hex')}`;
}

function explained<T>(path: Name, use: () => T): T {
  try {
    return use();
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOENT':
        throw new RootedError('path_not_found', path, 'is not there');
      case 'ENOTDIR':
        throw new RootedError('not_a_directory', path, 'is not a folder');
      case 'EISDIR':
        throw new RootedError('not_a_file', path, 'is a folder');
      case 'EEXIST':
      case 'ENOTEMPTY':
        throw new RootedError('already_exists', path, 'is there already');
      default:
        throw error;
    }
  }
}

import {
  closeSync,
  copyFileSync,
  fchmodSync,
  fstatSync,
  mkdtempSync,
  readSync,
  rmSync,
  type Stats,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { LinuxRootedFolder } from '../../../paths/linuxRooted.ts';
import { RootedError } from '../../../paths/rooted.ts';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { MountPlan, Overlays } from './layers/mountPlan.ts';
import { mountPlan, mountPoints } from './layers/mountPlan.ts';
import { asCoppiceError } from './views/viewFiles.ts';

/** Reading and writing files of sandboxes, whose processes may change any path meanwhile. */

const maxPage = 16 * 1024 * 1024;

/** The tree a living sandbox sees, mounts and all. */
export function livingRoot(pid: number): LinuxRootedFolder {
  return new LinuxRootedFolder(`/proc/${pid}/root`);
}

/** The tree a dead one left, for as long as `use` takes. */
export async function withDeadRoot<T>(
  overlays: Overlays,
  scratch: string,
  plan: MountPlan,
  upper: string,
  use: (root: LinuxRootedFolder) => T,
): Promise<T> {
  const place = mkdtempSync(path.join(scratch, 'd'));
  const under = (name: string) => (name === '' ? upper : path.join(upper, name));
  const [root, ...tops] = mountPoints(plan).map(({ name, lower }) => ({ name, lower: [under(name), ...lower] }));
  try {
    await mountPlan(overlays, { lowerRoot: root!.lower, tops }, place);
    const folder = new LinuxRootedFolder(place);
    try {
      return use(folder);
    } finally {
      folder.close();
      // Lazily, which takes the mounts within along.
      await overlays.unmount(place);
    }
  } finally {
    rmSync(place, { recursive: true });
  }
}

export function readFrom(
  root: LinuxRootedFolder,
  sandbox: string,
  file: string,
  offset: number,
  length: number,
): { readonly bytes: Buffer; readonly size: number } {
  try {
    const fd = root.openFile(file);
    try {
      const { size } = fstatSync(fd);
      const bytes = Buffer.alloc(Math.max(0, Math.min(length, maxPage, size - offset)));
      let done = 0;
      for (let count = -1; count !== 0 && done < bytes.length; done += count) {
        count = readSync(fd, bytes, done, bytes.length - done, offset + done);
      }
      return { bytes: bytes.subarray(0, done), size };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw asCoppiceError(error, `sandbox ${sandbox}`, file);
  }
}

export function writeTo(
  root: LinuxRootedFolder,
  sandbox: string,
  file: string,
  bytes: Buffer,
  options: { readonly mode: number | null; readonly append: boolean },
): void {
  const mode = options.mode ?? 0o644;
  try {
    root.makeFolder(path.posix.dirname(path.posix.normalize(`/${file}`)));
    if (options.append) append(root, file, bytes, options.mode);
    else replace(root, file, mode, fd => writeWhole(fd, bytes));
  } catch (error) {
    throw notWritten(error, sandbox, file);
  }
}

/** Makes a layer by changing what the image shows: the kernel writes down what that means for the layers below. */
export async function writeLayer(
  overlays: Overlays,
  scratch: string,
  plan: MountPlan,
  layer: { readonly upper: string; readonly work: (name: string) => string },
  change: (root: LinuxRootedFolder) => void,
): Promise<void> {
  const place = mkdtempSync(path.join(scratch, 'f'));
  try {
    await mountPlan(overlays, plan, place, layer);
    const root = new LinuxRootedFolder(place);
    try {
      change(root);
    } finally {
      root.close();
      await overlays.unmount(place);
    }
  } finally {
    rmSync(place, { recursive: true });
  }
}

export interface FolderAbove {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export const isPlain = (folder: FolderAbove): boolean => folder.mode === 0o755 && folder.uid === 0 && folder.gid === 0;

/** The folders of an image on the way to a state's destination. A link among them would be hidden by what is laid there. */
export function foldersAbove(root: LinuxRootedFolder, destination: string): FolderAbove[] {
  const names = destination.split('/').filter(Boolean);
  const folders: FolderAbove[] = [];
  for (let depth = 1; depth < names.length; depth++) {
    const folder = `/${names.slice(0, depth).join('/')}`;
    const stats = there(root, Buffer.from(folder));
    if (!stats) break;
    if (!stats.isDirectory()) {
      throw new CoppiceError(
        'not_a_directory',
        `${folder} is no folder in this image, so nothing can be laid at ${destination}`,
        {
          field: 'directory_state_id',
          fix: 'Sync to another destination.',
        },
      );
    }
    folders.push({ path: folder, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid });
  }
  return folders;
}

/** Takes files away, and the folders that are empty then. */
export function hideFiles(root: LinuxRootedFolder, files: readonly string[]): void {
  const folders = new Set<string>();
  const real = new Map<string, boolean>([['', true]]);
  for (const file of files) {
    if (!isRealFolder(root, file.slice(0, file.lastIndexOf('/')), real)) continue;
    const bytes = Buffer.from(file, 'latin1');
    const stats = there(root, bytes);
    if (stats?.isDirectory()) folders.add(file);
    else if (stats) root.remove(bytes);
  }
  // The deepest first.
  for (const folder of [...folders].sort().reverse()) {
    const bytes = Buffer.from(folder, 'latin1');
    if (root.list(bytes).length === 0) root.remove(bytes);
  }
}

/** Where a run put a link in a folder's place, what lies behind the link never was the state's. */
function isRealFolder(root: LinuxRootedFolder, folder: string, known: Map<string, boolean>): boolean {
  let real = known.get(folder);
  if (real === undefined) {
    real =
      isRealFolder(root, folder.slice(0, folder.lastIndexOf('/')), known) &&
      (there(root, Buffer.from(folder, 'latin1'))?.isDirectory() ?? false);
    known.set(folder, real);
  }
  return real;
}

function there(root: LinuxRootedFolder, file: Buffer): Stats | undefined {
  try {
    return root.lstat(file);
  } catch (error) {
    if (error instanceof RootedError && (error.code === 'path_not_found' || error.code === 'not_a_directory'))
      return undefined;
    throw error;
  }
}

export function layFile(root: LinuxRootedFolder, owner: string, file: { path: string; source: string }): void {
  try {
    root.makeFolder(path.posix.dirname(path.posix.normalize(`/${file.path}`)));
    replace(root, file.path, 0o644, fd => {
      copyFileSync(file.source, `/proc/self/fd/${fd}`);
      // The copy takes the blob's mode with it, which is for the engine's user alone.
      fchmodSync(fd, 0o644);
    });
  } catch (error) {
    throw notWritten(error, owner, file.path);
  }
}

export function notWritten(error: unknown, sandbox: string, file: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS')
    return asCoppiceError(error, `sandbox ${sandbox}`, file);
  return new CoppiceError(
    'unsupported',
    `sandbox ${sandbox}: ${file} cannot be written, its folder is the machine's own`,
    {
      fix: 'Write below /root, /home, /tmp, /var, /opt, /etc or /usr/local, or use an image of its own instead of `host:`.',
      data: { path: file },
    },
  );
}

function append(root: LinuxRootedFolder, file: string, bytes: Buffer, mode: number | null): void {
  const fd = root.appendFile(file, mode ?? 0o644);
  try {
    if (mode !== null) fchmodSync(fd, mode & 0o7777);
    writeWhole(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

function replace(root: LinuxRootedFolder, file: string, mode: number, fill: (fd: number) => void): void {
  const pending = root.createFile(file, { mode, follow: true });
  try {
    fill(pending.fd);
    pending.commit();
  } finally {
    pending.abandon();
  }
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

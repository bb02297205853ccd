import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { type Pack, pack } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import { Place } from './places.ts';
import { normal, notAFile, notAFolder, shown } from './tree.ts';

/** Reading and writing files of a container, running or not; links are the daemon's to follow, inside it. */

export async function readFrom(
  container: Docker.Container,
  path: string,
  offset: number,
  length: number,
): Promise<{ readonly bytes: Buffer; readonly size: number }> {
  const place = new Place(container);
  const file = await place.follow(normal(path));
  if (!file.isFile) throw notAFile(normal(path));
  const wanted = Math.max(0, Math.min(length, 16 * 1024 * 1024, file.size - offset));
  return { bytes: await place.part(file.path, offset, wanted), size: file.size };
}

export interface LaidFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
  readonly append?: boolean;
}

export async function writeTo(container: Docker.Container, files: readonly LaidFile[]): Promise<void> {
  const place = new Place(container);
  const tar = pack();
  const made = new Set<string>();
  for (const file of files) {
    const target = await place.followIfThere(normal(file.path));
    if (target && !target.isFile) throw notAFile(normal(file.path));
    const name = target?.path ?? normal(file.path);
    await addFolders(tar, place, posix.dirname(name), made);
    const before = file.append && target ? await place.part(target.path, 0, target.size) : Buffer.alloc(0);
    tar.entry(
      { name: inArchive(name), mode: file.mode, uid: 0, gid: 0, mtime: new Date() },
      Buffer.concat([before, file.bytes]),
    );
  }
  tar.finalize();
  await container.putArchive(readable(tar), { path: '/' });
}

/** Folders that are missing on the way to a place. */
export async function makeFolders(container: Docker.Container, folder: string, mode = 0o755): Promise<void> {
  const tar = pack();
  const made = new Set<string>();
  await addFolders(tar, new Place(container), normal(folder), made, mode);
  tar.finalize();
  if (made.size > 0) await container.putArchive(readable(tar), { path: '/' });
  else tar.destroy();
}

/** The last of them gets the mode. */
async function addFolders(tar: Pack, place: Place, folder: string, made: Set<string>, mode = 0o755): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; at !== '/' && !made.has(at); at = posix.dirname(at)) {
    const found = await place.followIfThere(at);
    if (found && !found.isFolder) throw notAFolder(folder);
    if (found) break;
    missing.unshift(at);
  }
  for (const at of missing) {
    made.add(at);
    tar.entry({
      name: `${inArchive(at)}/`,
      type: 'directory',
      mode: at === folder ? mode : 0o755,
      uid: 0,
      gid: 0,
      mtime: new Date(),
    });
  }
}

/** It is a stream of another make, which does all that is asked of one. */
export const readable = (tar: Pack): Readable => tar as unknown as Readable;

const inArchive = (path: string): string => shown(path).replace(/^\//, '');

/** No link may stand on the way to a folder that something is laid into: what is laid would hide where it leads. */
export async function foldersOnTheWay(container: Docker.Container, destination: string): Promise<void> {
  const place = new Place(container);
  const names = destination.split('/').filter(Boolean);
  for (let depth = 1; depth < names.length; depth++) {
    const folder = normal(`/${names.slice(0, depth).join('/')}`);
    const found = await place.kindOf(folder);
    if (found === undefined) break;
    if (found !== 'directory') {
      throw new CoppiceError(
        'not_a_directory',
        `${shown(folder)} is no folder in this image, so nothing can be laid at ${destination}`,
        { field: 'directory_state_id', fix: 'Sync to another destination.' },
      );
    }
  }
}

import * as fs from 'node:fs';
import { byDescriptor, type LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { entriesOf as byteEntries, text } from '../layers/bytePaths.ts';
import { TimeSlices } from '../layers/timeSlices.ts';

export interface Walked {
  /** Absolute inside the image. */
  readonly path: string;
  readonly type: fs.Dirent;
  /** A byte path on this machine, good while the view is mounted. No link leads there: the view cannot change. */
  readonly place: string;
}

/** Everything below a folder, depth first, names in order; never through a link. `enter` prunes. */
export async function* walk(
  root: LinuxRootedFolder,
  folder: string,
  enter: (path: string) => boolean,
  signal?: AbortSignal,
): AsyncGenerator<Walked> {
  const slices = new TimeSlices(signal);
  const pending = [entriesOf(canonical(root, folder), folder === '/' ? '' : folder)];
  for (let entries = pending.at(-1); entries !== undefined; entries = pending.at(-1)) {
    const next = entries.pop();
    if (next === undefined) {
      pending.pop();
      continue;
    }
    const pause = slices.pause();
    if (pause) await pause;
    yield next;
    if (next.type.isDirectory() && enter(next.path)) pending.push(entriesOf(next.place, next.path));
  }
}

/** The byte path where a folder of the view really is, every link on the way resolved inside the view. */
export function canonical(root: LinuxRootedFolder, folder: string): string {
  const fd = root.openFolder(folder);
  try {
    return fs.readlinkSync(byDescriptor(fd), { encoding: 'latin1' });
  } finally {
    fs.closeSync(fd);
  }
}

/** Last one first, to be popped. A folder that may not be read is shown as empty. */
function entriesOf(place: string, folder: string): Walked[] {
  try {
    return byteEntries(place)
      .sort((a, b) => (a.name < b.name ? 1 : -1))
      .map(type => ({ path: `${folder}/${text(type.name)}`, type, place: `${place}/${type.name}` }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return [];
    throw error;
  }
}

import { closeSync, constants, existsSync, fstatSync, lstatSync, openSync, type Stats } from 'node:fs';
import { type BytePath, forSystem } from '../../workspace/bytePath.ts';

const BY_DESCRIPTOR = existsSync('/proc/self/fd');

/**
 * A folder held open. Names in it are reached through its descriptor (`/proc/self/fd/N/name`, Node's way to openat): nobody
 * can swap it, or one above it, for a link while it is read, and no path gets too long for the system however deep it lies.
 * Where descriptors have no such names it is reached by its path.
 */
export class HeldFolder {
  /** What system calls take; a name is put behind it with a slash. */
  readonly place: BytePath;
  readonly stats: Stats;
  readonly #fd: number | undefined;

  private constructor(place: BytePath, stats: Stats, fd: number | undefined) {
    this.place = place;
    this.stats = stats;
    this.#fd = fd;
  }

  /** A link is not followed: ENOTDIR, as for anything else that is no folder. */
  static open(place: BytePath): HeldFolder {
    if (!BY_DESCRIPTOR) {
      const stats = lstatSync(forSystem(place));
      if (!stats.isDirectory()) throw Object.assign(new Error(`not a folder: ${place}`), { code: 'ENOTDIR' });
      return new HeldFolder(place, stats, undefined);
    }
    const fd = openSync(forSystem(place), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      return new HeldFolder(`/proc/self/fd/${fd}`, fstatSync(fd), fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

import * as fs from 'node:fs';
import { byDescriptor, LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { RootedError } from '../../../../paths/rootedFolder.ts';
import { CoppiceError } from '../../../../protocol/errors.ts';
import { bytes } from './bytePaths.ts';
import { at, folderOf, type HeldFolder, HeldFolders, inFolder } from './heldFolders.ts';
import { makeMarks } from './marks.ts';
import { TarError } from './tarError.ts';
import { shown, type TarEntry, type Time } from './tarHeader.ts';
import type { TarSink } from './tarReader.ts';
import { whiteoutOf } from './whiteouts.ts';

/** A second name for a file that no entry of the archive made: a layer's may be in a layer below. */
export interface MissingLink {
  /** Byte paths below the root: where it is to be, and what entries call its target. */
  readonly place: string;
  readonly target: string;
}

export interface TreeCounts {
  readonly entries: number;
  /** Devices and sockets: a sandbox could not use them. */
  readonly skipped: number;
  /** Owners that do not exist in the namespace; such files belong to its root. */
  readonly unmapped: number;
  /** Extended attributes that could not be set. */
  readonly unset: number;
  /** On disk, in whole blocks. */
  readonly bytes: number;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const newFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const mostEntries = 2_000_000;
const mostWhiteouts = 200_000;
const largestFile = 2 ** 42;
const blockBytes = 4096;
/** How much is written between two looks at what the disk has left. */
const bytesBetweenLooks = 32 << 20;
const lastId = 0xfffffffe;
const umask = process.umask();

/**
 * What a tar's entries make in an empty folder that is ours alone. The archive may be anyone's: every name and link target
 * is resolved inside the folder. With `layer`, names that begin with `.wh.` hide what lies in the layers below.
 */
export class UnpackedTree implements TarSink {
  readonly #counts = { entries: 0, skipped: 0, unmapped: 0, unset: 0, bytes: 0 };
  /** Folders that no entry names, and what the lower layers have to be asked for. By place. */
  readonly implied = new Set<string>();
  readonly missingLinks = new Map<string, MissingLink>();
  /** Nothing of the layers below is seen. */
  opaqueRoot = false;
  readonly #root: LinuxRootedFolder;
  readonly #path: string;
  readonly #layer: boolean;
  readonly #folders: HeldFolders;
  #file: { readonly fd: number; readonly place: string } | undefined;
  #entry: TarEntry | undefined;
  #sinceLook = bytesBetweenLooks;
  /** Something other than a file went: places may not be where they were. */
  #replaced = false;
  readonly #reserve: { readonly bytes: number; readonly files: number };
  /** Set last: every file made in a folder changes its time. All by place. */
  readonly #folderTimes = new Map<string, Time>();
  readonly #exactTimes = new Map<string, Time>();
  readonly #xattrs = new Map<string, TarEntry['xattrs']>();
  readonly #fifos = new Map<string, TarEntry>();
  readonly #devices = new Set<string>();
  readonly #whiteouts = new Set<string>();
  readonly #opaque = new Set<string>();

  constructor(folder: string, options: { readonly layer: boolean }) {
    const fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    this.#root = new LinuxRootedFolder(fd);
    this.#path = fs.readlinkSync(byDescriptor(fd), { encoding: 'buffer' }).toString('latin1');
    this.#layer = options.layer;
    this.#folders = new HeldFolders(this.#root, this.#path, place => {
      this.implied.add(place);
      this.#count(blockBytes);
    });
    const disk = fs.statfsSync(folder);
    this.#reserve = { bytes: Math.min(1 << 30, (disk.blocks * disk.bsize) / 50), files: disk.files / 100 };
  }

  get counts(): TreeCounts {
    return this.#counts;
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    const steps = stepsOf(entry.name);
    if (this.#layer && this.#isHiding(steps)) return;
    this.#counts.entries++;
    if (this.#counts.entries > mostEntries) throw new TarError(`more than ${mostEntries} entries`);
    this.#count(blockBytes);
    const name = steps.pop();
    if (name === undefined) {
      if (entry.type === 'directory') this.#setFolder(bytes(this.#path), '', entry);
      else if (entry.type === 'file') throw new TarError('a file without a name');
      return;
    }
    const folder = this.#folders.open(steps);
    const place = inFolder(folder.place, name);
    this.#forget(place);
    switch (entry.type) {
      case 'file':
        this.#startFile(folder, name, place, entry);
        break;
      case 'directory':
        this.#addFolder(folder, name, place, entry);
        break;
      case 'symlink':
        this.#addLink(folder, name, place, entry);
        break;
      case 'link':
        this.#addHardLink(folder, name, place, entry);
        break;
      case 'fifo':
        this.#remove(folder, name);
        this.#fifos.set(place, entry);
        break;
      default:
        this.#remove(folder, name);
        this.#devices.add(place);
        this.#counts.entries--;
        this.#counts.skipped++;
    }
  }

  data(chunk: Buffer, position: number): void {
    if (this.#file === undefined) return;
    this.#count(chunk.length);
    for (let done = 0; done < chunk.length; )
      done += fs.writeSync(this.#file.fd, chunk, done, chunk.length - done, position + done);
  }

  end(): void {
    if (this.#file === undefined) return;
    const entry = this.#entry!;
    const { fd, place } = this.#file;
    if (entry.sparse !== undefined) fs.ftruncateSync(fd, entry.size);
    this.#own(entry, (uid, gid) => fs.fchownSync(fd, uid, gid));
    // After the owner, whose change takes setuid away.
    if (entry.mode !== (plainMode(entry) & ~umask)) fs.fchmodSync(fd, entry.mode);
    fs.futimesSync(fd, secondsOf(entry.mtime), secondsOf(entry.mtime));
    this.#file = undefined;
    fs.closeSync(fd);
    this.#noteLast(place, entry);
  }

  /** When all entries are there: what needs the tree to be whole. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.#mark(signal);
    this.#linkLate();
    for (const place of this.implied) if (!this.#isFolder(place)) this.implied.delete(place);
    for (const place of this.#folderTimes.keys()) if (!this.#isFolder(place)) this.#folderTimes.delete(place);
    for (const [place, time] of this.#folderTimes)
      fs.lutimesSync(bytes(this.#real(place)), secondsOf(time), secondsOf(time));
    // Those last of all: a double holds no nanoseconds.
    const exact = [...this.#still(this.#exactTimes), ...this.#folderTimes].filter(([, { nanos }]) => nanos > 0);
    await makeMarks(
      exact.map(([place, time]) => ({ kind: 'time', path: this.#real(place), time })),
      signal,
    );
  }

  close(): void {
    if (this.#file !== undefined) fs.closeSync(this.#file.fd);
    this.#folders.clear();
    this.#root.close();
  }

  /** A whiteout is no entry: it is noted, and made at the end, when it is known what the layer itself has there. */
  #isHiding(steps: readonly string[]): boolean {
    const hidden = whiteoutOf(steps);
    if (hidden === undefined) return false;
    if (hidden === 'ignored') return true;
    const { place } = this.#folders.open(steps.slice(0, -1));
    if (hidden === 'opaque') this.#opaque.add(place);
    else this.#whiteouts.add(inFolder(place, hidden.name));
    if (this.#whiteouts.size > mostWhiteouts) throw new TarError(`more than ${mostWhiteouts} whiteouts`);
    return true;
  }

  #startFile(folder: HeldFolder, name: string, place: string, entry: TarEntry): void {
    if (entry.size > largestFile) throw new TarError(`${shown(entry.name)} is said to have ${entry.size} bytes`);
    this.#file = { fd: this.#create(folder, name, plainMode(entry)), place };
  }

  #create(folder: HeldFolder, name: string, mode: number): number {
    const here = at(folder, name);
    try {
      return fs.openSync(here, newFile, mode);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return fs.openSync(this.#free(folder, name), newFile, mode);
    }
  }

  #addFolder(folder: HeldFolder, name: string, place: string, entry: TarEntry): void {
    let here = at(folder, name);
    const there = fs.lstatSync(here, { throwIfNoEntry: false });
    if (there !== undefined && !there.isDirectory()) here = this.#free(folder, name);
    if (!there?.isDirectory()) fs.mkdirSync(here, 0o755);
    this.implied.delete(place);
    this.#setFolder(here, place, entry);
  }

  #setFolder(here: fs.PathLike, place: string, entry: TarEntry): void {
    this.#own(entry, (uid, gid) => fs.lchownSync(here, uid, gid));
    fs.chmodSync(here, entry.mode);
    this.#folderTimes.set(place, entry.mtime);
    if (entry.xattrs.length > 0) this.#xattrs.set(place, entry.xattrs);
  }

  #addLink(folder: HeldFolder, name: string, place: string, entry: TarEntry): void {
    if (entry.link === '') throw new TarError(`${shown(entry.name)} is a link to nothing`);
    const here = this.#free(folder, name);
    fs.symlinkSync(bytes(entry.link), here);
    this.#own(entry, (uid, gid) => fs.lchownSync(here, uid, gid));
    fs.lutimesSync(here, secondsOf(entry.mtime), secondsOf(entry.mtime));
    this.#noteLast(place, entry);
  }

  #addHardLink(folder: HeldFolder, name: string, place: string, entry: TarEntry): void {
    if (entry.link === '') throw new TarError(`${shown(entry.name)} is a link to nothing`);
    stepsOf(entry.link);
    if (!this.#linkTo(entry.link, folder, name)) {
      this.#remove(folder, name);
      this.missingLinks.set(place, { place, target: entry.link });
    }
  }

  /** False: there is nothing of that name. */
  #linkTo(target: string, folder: HeldFolder, name: string): boolean {
    const existing = this.#look(target);
    if (existing === undefined) return false;
    if (existing.isDirectory()) throw new TarError(`${shown(target)}: a second name for a folder`);
    const there = fs.lstatSync(at(folder, name), { throwIfNoEntry: false });
    if (there?.ino === existing.ino) return true;
    const here = this.#free(folder, name);
    this.#root.at(bytes(target), {}, from => fs.linkSync(from, here));
    return true;
  }

  /** Links to what was made in the end; a layer's others may be to what is in the layers below. */
  #linkLate(): void {
    for (const { place, target } of [...this.missingLinks.values()]) {
      const steps = stepsOf(place);
      const name = steps.pop()!;
      const device = this.#devices.has(stepsOf(target).join('/'));
      if (device) {
        this.#counts.skipped++;
        this.#counts.entries--;
      }
      if (device || this.#linkTo(target, this.#folders.open(steps), name)) this.missingLinks.delete(place);
      else if (!this.#layer) throw new TarError(`${shown(place)} is a link to ${shown(target)}, which is not there`);
    }
  }

  /** What an earlier entry put at this name goes. */
  #free(folder: HeldFolder, name: string): fs.PathLike {
    return this.#remove(folder, name) ? at(this.#folders.open(stepsOf(folder.place)), name) : at(folder, name);
  }

  /** True: something was there, and no folder that was held is any longer. */
  #remove(folder: HeldFolder, name: string): boolean {
    const stats = fs.lstatSync(at(folder, name), { throwIfNoEntry: false });
    if (stats === undefined) return false;
    this.#root.remove(bytes(inFolder(folder.place, name)));
    if (stats.isFile()) return false;
    // Names may have led through it.
    this.#folders.clear();
    this.#replaced = true;
    return true;
  }

  /** An entry that comes again is what it is the last time. */
  #forget(place: string): void {
    if (this.#exactTimes.size > 0) this.#exactTimes.delete(place);
    if (this.#xattrs.size > 0) this.#xattrs.delete(place);
    if (this.#fifos.size > 0) this.#fifos.delete(place);
    if (this.#devices.size > 0) this.#devices.delete(place);
    if (this.missingLinks.size > 0) this.missingLinks.delete(place);
  }

  #noteLast(place: string, entry: TarEntry): void {
    if (entry.mtime.nanos > 0) this.#exactTimes.set(place, entry.mtime);
    if (entry.xattrs.length > 0) this.#xattrs.set(place, entry.xattrs);
  }

  #own(entry: TarEntry, chown: (uid: number, gid: number) => void): void {
    if (isRoot(entry)) return;
    const known = entry.uid >= 0 && entry.uid <= lastId && entry.gid >= 0 && entry.gid <= lastId;
    try {
      if (known) chown(entry.uid, entry.gid);
    } catch (error) {
      // EINVAL: no such user in this namespace.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EINVAL' && code !== 'EOVERFLOW') throw error;
      this.#counts.unmapped++;
      return;
    }
    if (!known) this.#counts.unmapped++;
  }

  /** A bomb ends before the disk is full for everybody else. */
  #count(size: number): void {
    this.#counts.bytes += Math.ceil(size / blockBytes) * blockBytes;
    this.#sinceLook += size;
    if (this.#sinceLook < bytesBetweenLooks) return;
    this.#sinceLook = 0;
    const disk = fs.statfsSync(this.#path);
    const full = disk.bavail * disk.bsize < this.#reserve.bytes || (disk.files > 0 && disk.ffree < this.#reserve.files);
    if (full) throw diskNearlyFull();
  }

  async #mark(signal: AbortSignal): Promise<void> {
    this.#settleWhiteouts();
    const { unset } = await makeMarks(
      [
        ...this.#still(this.#fifos).map(([place, entry]) => ({
          kind: 'fifo' as const,
          path: this.#real(place),
          ...this.#inside(entry),
        })),
        ...[...this.#whiteouts].map(place => ({ kind: 'whiteout' as const, path: this.#real(place) })),
        ...[...this.#opaque].map(place => ({ kind: 'opaque' as const, path: this.#real(place) })),
        ...[...this.#hidingFolders()].map(place => ({ kind: 'merged' as const, path: this.#real(place) })),
        ...this.#still(this.#xattrs).flatMap(([place, xattrs]) =>
          xattrs.map(([name, value]) => ({ kind: 'xattr' as const, path: this.#real(place), name, value })),
        ),
      ],
      signal,
    );
    this.#counts.unset += unset;
  }

  /** Only what lies below is hidden: a folder of the layer's own hides it by being opaque, anything else by being there. */
  #settleWhiteouts(): void {
    for (const place of this.#whiteouts) {
      // Not where it was noted any more: a path to it may lead out by now.
      const there = this.#isStill(place) ? this.#look(place) : 'gone';
      if (there === 'gone' || there !== undefined || this.#opaque.has(folderOf(place))) this.#whiteouts.delete(place);
      if (there !== 'gone' && there?.isDirectory()) this.#opaque.add(place);
    }
    for (const place of this.#opaque)
      if (!this.#isStill(place) || !this.#look(place)?.isDirectory()) this.#opaque.delete(place);
    this.opaqueRoot = this.#opaque.delete('');
  }

  /** The kernel looks for whiteouts only in folders that it takes for merged. */
  #hidingFolders(): Set<string> {
    return new Set([...this.#whiteouts].map(place => folderOf(place)));
  }

  #still<T>(marks: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
    return [...marks].filter(([place]) => this.#isStill(place));
  }

  /** Do all folders above it lie where they did, and no link in the place of one? */
  #isStill(place: string): boolean {
    if (!this.#replaced) return true;
    const folder = folderOf(place);
    if (folder === this.#lastStill?.folder) return this.#lastStill.still;
    this.#lastStill = { folder, still: this.#isRealFolder(folder) };
    return this.#lastStill.still;
  }

  #lastStill: { readonly folder: string; readonly still: boolean } | undefined;

  #isRealFolder(place: string): boolean {
    try {
      const fd = this.#root.openFolder(bytes(place));
      try {
        return fs.readlinkSync(byDescriptor(fd), { encoding: 'buffer' }).toString('latin1') === this.#real(place);
      } finally {
        fs.closeSync(fd);
      }
    } catch (error) {
      if (error instanceof RootedError) return false;
      throw error;
    }
  }

  /** What was a folder once. */
  #isFolder(place: string): boolean {
    return !this.#replaced || (this.#isStill(place) && this.#look(place)?.isDirectory() === true);
  }

  #look(place: string): fs.Stats | undefined {
    try {
      return this.#root.lstat(bytes(place));
    } catch (error) {
      if (error instanceof RootedError) return undefined;
      throw error;
    }
  }

  #real(place: string): string {
    return place === '' ? this.#path : `${this.#path}/${place}`;
  }

  #inside({ mode, uid, gid, mtime }: TarEntry): { mode: number; uid: number; gid: number; time: Time } {
    return { mode, uid, gid, time: mtime };
  }
}

/** The mode a file is made with: what nobody minds while it is being written. Most are just that in the end. */
function plainMode({ mode }: TarEntry): number {
  return mode & 0o755;
}

function isRoot(entry: TarEntry): boolean {
  return entry.uid === 0 && entry.gid === 0;
}

/** As a double, which is right to the microsecond. */
function secondsOf({ seconds, nanos }: Time): number {
  return seconds + nanos / 1e9;
}

function stepsOf(name: string): string[] {
  const steps = name.split('/').filter(step => step !== '' && step !== '.');
  if (steps.includes('..')) throw new TarError(`${shown(name)} leads out of the archive`);
  return steps;
}

function diskNearlyFull(): CoppiceError {
  return new CoppiceError('disk_full', 'the disk would be full', {
    fix: 'Free space (`coppice prune` removes unused images), then try again.',
  });
}

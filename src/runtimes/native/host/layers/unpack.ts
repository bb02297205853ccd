import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import type { Readable } from 'node:stream';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { type Extract, extract, type Header } from 'tar-stream';
import { byDescriptor, LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { components, join, type Name, RootedError } from '../../../../paths/rootedFolder.ts';
import { CoppiceError } from '../../../../protocol/errors.ts';

export interface UnpackOptions {
  readonly signal: AbortSignal;
  /** Bytes of the archive taken so far. */
  readonly progress: (done: number) => void;
}

export interface Unpacked {
  /** Of the archive as it came. */
  readonly sha256: string;
  readonly entries: number;
  /** Devices, sockets and pipes: a sandbox could not use them. */
  readonly skipped: number;
  /** Owners that do not exist in the namespace; such files belong to its root. */
  readonly unmapped: number;
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;
const compressions = [
  { name: 'gzip', magic: [0x1f, 0x8b], open: () => zlib.createGunzip() },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], open: openZstd },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], open: () => unsupported('xz') },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68], open: () => unsupported('bzip2') },
] as const;
const headBytes = 6;
/** The published types leave its options out. */
const openTar = extract as (options: { readonly filenameEncoding: 'latin1' }) => Extract;

/**
 * Unpacks a tar (plain, gzip or zstd) into an empty folder. The archive may be anyone's: every name and link target is
 * resolved inside the folder, and an entry that would leave it ends the import.
 */
export async function unpackTar(source: Readable, folder: string, options: UnpackOptions): Promise<Unpacked> {
  const tree = new UnpackedTree(folder);
  const hash = crypto.createHash('sha256');
  let done = 0;
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      done += chunk.length;
      hash.update(chunk);
      options.progress(done);
      callback(null, chunk);
    },
  });
  const archive = openTar({ filenameEncoding: 'latin1' });
  const unpacking = unpackEntries(archive, tree);
  unpacking.catch(() => undefined);
  try {
    const head = await takeHead(source);
    const plain = compressions.find(({ magic }) => magic.every((byte, index) => head[index] === byte));
    const stages = plain === undefined ? [] : [plain.open()];
    const flow = pipeline([source, counted, ...stages, archive] as never, { signal: options.signal }) as Promise<void>;
    const [flowed, unpacked] = await Promise.allSettled([flow, unpacking]);
    // When an entry is refused the flow only knows that its end went away.
    if (unpacked.status === 'rejected' && unpacked.reason instanceof CoppiceError) throw unpacked.reason;
    if (flowed.status === 'rejected') throw flowed.reason;
    if (unpacked.status === 'rejected') throw unpacked.reason;
    if (tree.entries === 0) throw new CoppiceError('import_failed', 'the archive holds no files', notATar);
    tree.finish();
    return { sha256: hash.digest('hex'), entries: tree.entries, skipped: tree.skipped, unmapped: tree.unmapped };
  } catch (error) {
    archive.destroy();
    await unpacking.catch(() => undefined);
    options.signal.throwIfAborted();
    throw explained(error);
  } finally {
    source.destroy();
    tree.close();
  }
}

/** By events, not as an async iterator: that costs more than the files themselves. */
function unpackEntries(archive: Extract, tree: UnpackedTree): Promise<void> {
  return new Promise((resolve, reject) => {
    const attempt = (work: () => void) => {
      try {
        work();
      } catch (error) {
        reject(error);
        archive.destroy(error as Error);
      }
    };
    archive.on('entry', (header, content, next) => {
      content.on('error', reject);
      attempt(() => {
        const isFile = header.type === 'file' || header.type === 'contiguous-file';
        if (isFile) tree.startFile(header);
        else tree.add(header);
        content.on('data', chunk =>
          attempt(() => {
            // Other entries should have no content; what they have is passed over.
            if (isFile) tree.write(chunk as Buffer);
          }),
        );
        content.on('end', () =>
          attempt(() => {
            if (isFile) tree.finishFile(header);
            next();
          }),
        );
      });
    });
    archive.on('finish', () => resolve());
    archive.on('error', reject);
    archive.on('close', () => reject(new Error('it ends too early')));
  });
}

class UnpackedTree {
  entries = 0;
  skipped = 0;
  unmapped = 0;
  readonly #root: LinuxRootedFolder;
  /** The one that is being written. */
  #file: number | undefined;
  /** Set last: every file made in a folder changes its time. */
  readonly #folderTimes = new Map<string, { readonly name: Name; readonly mtime: number }>();
  /** The folder of the file before: most files follow their siblings. */
  #held: { readonly folder: string; readonly fd: number } | undefined;

  constructor(folder: string) {
    this.#root = new LinuxRootedFolder(folder);
  }

  startFile(header: Header): void {
    this.#check(header);
    this.entries++;
    this.#file = this.#create(nameOf(header));
  }

  write(chunk: Buffer): void {
    const fd = this.#file!;
    for (let done = 0; done < chunk.length; ) done += fs.writeSync(fd, chunk, done);
  }

  #create(name: Name): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    const place = this.#place(name);
    try {
      return fs.openSync(place, flags, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      this.#letGo();
      this.#root.remove(name);
      return this.#root.at(name, { make: 0o755, below: true }, again => fs.openSync(again, flags, 0o600));
    }
  }

  finishFile(header: Header): void {
    const fd = this.#file!;
    this.#own(header, (uid, gid) => fs.fchownSync(fd, uid, gid));
    // After the owner, whose change takes setuid away.
    fs.fchmodSync(fd, modeOf(header));
    fs.futimesSync(fd, mtimeOf(header), mtimeOf(header));
    this.#file = undefined;
    fs.closeSync(fd);
  }

  add(header: Header): void {
    this.#letGo();
    this.#check(header);
    const name = nameOf(header);
    switch (header.type) {
      case 'directory':
        this.#addFolder(name, header);
        break;
      case 'symlink':
        this.#addLink(name, header);
        break;
      case 'link':
        this.#addHardLink(name, header);
        break;
      default:
        this.skipped++;
        return;
    }
    this.entries++;
  }

  finish(): void {
    this.#letGo();
    for (const { name, mtime } of this.#folderTimes.values()) {
      // A later entry may have put something else in its place.
      this.#root.at(name, {}, place => {
        if (fs.lstatSync(place).isDirectory()) fs.lutimesSync(place, mtime, mtime);
      });
    }
  }

  close(): void {
    if (this.#file !== undefined) fs.closeSync(this.#file);
    this.#letGo();
    this.#root.close();
  }

  #addFolder(name: Name, header: Header): void {
    this.#root.at(name, { make: 0o755 }, place => {
      const there = fs.lstatSync(place, { throwIfNoEntry: false });
      if (there !== undefined && !there.isDirectory()) fs.unlinkSync(place);
      if (!there?.isDirectory()) fs.mkdirSync(place);
      this.#own(header, (uid, gid) => fs.lchownSync(place, uid, gid));
      fs.chmodSync(place, modeOf(header));
    });
    this.#folderTimes.set(byteText(name), { name, mtime: mtimeOf(header) });
  }

  #addLink(name: Name, header: Header): void {
    const target = linkOf(header);
    this.#make(name, place => {
      fs.symlinkSync(target, place);
      this.#own(header, (uid, gid) => fs.lchownSync(place, uid, gid));
      fs.lutimesSync(place, mtimeOf(header), mtimeOf(header));
    });
  }

  #addHardLink(name: Name, header: Header): void {
    const target = linkOf(header);
    this.#root.at(target, {}, existing => {
      if (fs.lstatSync(existing).isDirectory()) throw broken(`${name}: a second name for a folder`);
      this.#make(name, place => fs.linkSync(existing, place));
    });
  }

  /** What an earlier entry put at this name goes. */
  #make(name: Name, make: (place: fs.PathLike) => void): void {
    this.#root.at(name, { make: 0o755, below: true }, place => {
      try {
        make(place);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        this.#root.remove(name);
        make(place);
      }
    });
  }

  #own(header: Header, chown: (uid: number, gid: number) => void): void {
    const uid = idOf(header, 'uid');
    const gid = idOf(header, 'gid');
    if (uid === 0 && gid === 0) return;
    try {
      chown(uid, gid);
    } catch (error) {
      // EINVAL: no such user in this namespace.
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL' && (error as NodeJS.ErrnoException).code !== 'EOVERFLOW')
        throw error;
      this.unmapped++;
    }
  }

  #place(name: Name): fs.PathLike {
    const steps = components(name);
    const last = steps.pop();
    if (last === undefined) throw broken('a file without a name');
    const folder = steps.map(byteText).join('/');
    if (this.#held?.folder !== folder) {
      this.#letGo();
      const parent = Buffer.from(folder, 'latin1');
      this.#root.makeFolder(parent);
      this.#held = { folder, fd: this.#root.openFolder(parent) };
    }
    return join(byDescriptor(this.#held.fd), last);
  }

  #letGo(): void {
    if (this.#held !== undefined) fs.closeSync(this.#held.fd);
    this.#held = undefined;
  }

  #check(header: Header): void {
    const shown = nameOf(header).toString();
    if (components(nameOf(header)).includes('..')) throw broken(`${shown} leads out of the archive`);
    if (paxOf(header).path?.includes('\uFFFD') || paxOf(header).linkpath?.includes('\uFFFD'))
      throw broken(`${shown}: the name is not UTF-8`);
    const sparse = Object.keys(paxOf(header)).some(key => key.startsWith('GNU.sparse.'));
    if (sparse || (header.type === null && (header.size ?? 0) > 0))
      throw broken(
        `${shown} is of a kind that cannot be read`,
        'Make the archive with `tar --format=posix`, without --sparse.',
      );
  }
}

const notATar = { fix: 'Give a tar, tar.gz or tar.zst of a root file system, or a folder.' };

function broken(message: string, fix = notATar.fix): CoppiceError {
  return new CoppiceError('import_failed', `the archive cannot be unpacked: ${message}`, { fix });
}

function paxOf(header: Header): Readonly<Record<string, string | undefined>> {
  return (header.pax ?? {}) as Readonly<Record<string, string>>;
}

/** One character a byte, whether the name is text or not. */
function byteText(name: Name): string {
  return (typeof name === 'string' ? Buffer.from(name) : name).toString('latin1');
}

/** A pax header's name is text; another's is bytes, which latin1 kept. */
function nameOf(header: Header): Name {
  return paxOf(header).path === undefined ? Buffer.from(header.name, 'latin1') : header.name;
}

function linkOf(header: Header): Name {
  const target = header.linkname ?? '';
  if (target === '') throw broken(`${nameOf(header)} is a link to nothing`);
  return paxOf(header).linkpath === undefined ? Buffer.from(target, 'latin1') : target;
}

function modeOf(header: Header): number {
  return (header.mode ?? 0o644) & 0o7777;
}

function idOf(header: Header, which: 'uid' | 'gid'): number {
  return Number(paxOf(header)[which] ?? header[which] ?? 0) || 0;
}

/** Seconds. */
function mtimeOf(header: Header): number {
  const seconds = Number(paxOf(header).mtime ?? (header.mtime?.getTime() ?? 0) / 1000);
  return Number.isFinite(seconds) ? seconds : 0;
}

/** The first bytes; they stay in the stream. */
async function takeHead(source: Readable): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < headBytes) {
    const chunk = await nextChunk(source);
    if (chunk === undefined) break;
    head = Buffer.concat([head, chunk]);
  }
  if (head.length > 0) source.unshift(head);
  return head;
}

function nextChunk(source: Readable): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const chunk = source.read() as Buffer | null;
      if (chunk === null && !source.readableEnded) return;
      settle(() => resolve(chunk ?? undefined));
    };
    const end = () => settle(() => resolve(undefined));
    const fail = (error: Error) => settle(() => reject(error));
    const settle = (then: () => void) => {
      source.off('readable', look).off('end', end).off('error', fail).off('close', end);
      then();
    };
    source.on('readable', look).on('end', end).on('error', fail).on('close', end);
    look();
  });
}

function openZstd(): NodeJS.ReadWriteStream {
  if (typeof zlib.createZstdDecompress === 'function') return zlib.createZstdDecompress();
  throw new CoppiceError('unsupported', 'this Node cannot read zstd', {
    fix: 'Decompress the archive with `zstd -d`, or use Node 22.15 or later.',
  });
}

function unsupported(name: string): never {
  throw new CoppiceError('unsupported', `the archive is compressed with ${name}`, {
    fix: 'Decompress it first, or make a tar.gz or tar.zst of it.',
  });
}

function explained(error: unknown): unknown {
  if (error instanceof CoppiceError) return error;
  if (error instanceof RootedError) return broken(error.message);
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return error;
  if (code === 'ERR_STREAM_PREMATURE_CLOSE') return broken('it ends too early');
  // What the tar reader and zlib have to say about their input, and names that the file system refuses.
  return broken(message);
}

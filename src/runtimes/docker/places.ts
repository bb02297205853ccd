import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type Docker from 'dockerode';
import { type Extract, extract } from 'tar-stream';
import { type Connection, isPodman } from './connect/connection.ts';
import { DaemonTar } from './daemonTar.ts';
import type { Names } from './names.ts';
import { notAFolder, notThere, readEntries, shown, Tree, type TreeEntry } from './tree.ts';

const maxPlaces = 24;
const idleMs = 120_000;
/** Go's bits for kinds of files. */
const goFolder = 2 ** 31;
const goLink = 2 ** 27;
const goOther = (2 ** 26) | (2 ** 25) | (2 ** 24) | (2 ** 21) | (2 ** 19);

/** What a path leads to when every link is followed. */
export interface Followed {
  readonly path: string;
  readonly isFolder: boolean;
  readonly isFile: boolean;
  readonly size: number;
}

/** An image made visible by a container that never runs; what was learnt of it is kept, for images never change. */
export class Place {
  readonly container: Docker.Container;
  readonly #trees = new Map<string, Promise<Tree>>();
  #kept: { readonly path: string; readonly content: Promise<Buffer> } | undefined;

  constructor(container: Docker.Container) {
    this.container = container;
  }

  async followIfThere(path: string): Promise<Followed | undefined> {
    const found = await this.#head(path);
    return found?.isLink ? this.#headFollowed(found.target) : found;
  }

  async follow(path: string): Promise<Followed> {
    return (await this.followIfThere(path)) ?? this.#missing(path);
  }

  async kindOf(path: string): Promise<TreeEntry['type'] | undefined> {
    const found = await this.#head(path);
    if (!found) return undefined;
    return found.isLink ? 'link' : found.isFolder ? 'directory' : found.isFile ? 'file' : 'other';
  }

  /** Of a link itself, too. The daemon tells owners only in an archive, of which the first header is read. */
  async entry(path: string): Promise<TreeEntry> {
    const whole = await this.#trees.get('/');
    const known = whole?.look(path);
    if (known) return known;
    if (path === '/')
      return { path, type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, mtime: 0, link: null, hash: '' };
    const found = await this.#head(path);
    if (!found) return this.#missing(path);
    // Podman gives what a link leads to in its place.
    const beside = found.isLink ? (await this.tree(posix.dirname(path))).look(path) : undefined;
    if (beside) return beside;
    const archive = await this.archive(path);
    try {
      return await new Promise<TreeEntry>((resolve, reject) => {
        readEntries(archive, entry => resolve({ ...entry, path })).catch(reject);
        archive.once('error', reject);
      });
    } finally {
      archive.destroy();
    }
  }

  /** Of a folder and all below it, under their names from the root. */
  tree(folder: string, signal?: AbortSignal): Promise<Tree> {
    const known = this.#trees.get('/') ?? this.#trees.get(folder);
    if (known) return known;
    const read = this.archive(folder).then(archive => Tree.read(archive, posix.dirname(folder), signal));
    this.#trees.set(folder, read);
    read.catch(() => this.#trees.delete(folder));
    return read;
  }

  content(path: string, size: number): Promise<Buffer> {
    if (this.#kept?.path === path) return this.#kept.content;
    const content = this.part(path, 0, size);
    this.#kept = { path, content };
    content.catch(() => {
      this.#kept = undefined;
    });
    return content;
  }

  async part(path: string, offset: number, length: number): Promise<Buffer> {
    const archive = await this.archive(path);
    const parser = (extract as () => Extract)();
    archive.on('error', error => parser.destroy(error));
    archive.pipe(parser);
    const pieces: Buffer[] = [];
    let at = 0;
    let got = 0;
    try {
      for await (const entry of parser) {
        for await (const piece of entry as unknown as AsyncIterable<Buffer>) {
          const wanted = piece.subarray(Math.max(0, offset - at), Math.max(0, offset + length - at));
          at += piece.length;
          got += wanted.length;
          if (wanted.length > 0) pieces.push(wanted);
          if (got >= length) return Buffer.concat(pieces);
        }
        break;
      }
      return Buffer.concat(pieces);
    } finally {
      archive.destroy();
    }
  }

  /** Podman takes a path for a pattern. */
  #asked(path: string): string {
    return isPodman(this.container) ? shown(path).replace(/[*?[\\]/g, '\\$&') : shown(path);
  }

  async archive(path: string): Promise<Readable> {
    const stream = path === '/' ? this.container.export() : this.container.getArchive({ path: this.#asked(path) });
    const tar = new DaemonTar();
    pipeline((await stream) as Readable, tar).catch(error => tar.destroy(error as Error));
    return tar;
  }

  async #headFollowed(path: string): Promise<Followed | undefined> {
    const found = await this.#head(path);
    return found?.isLink ? undefined : found;
  }

  async #head(path: string): Promise<(Followed & { readonly isLink: boolean; readonly target: string }) | undefined> {
    if (path === '/') return { path, isFolder: true, isFile: false, size: 0, isLink: false, target: '' };
    const headers = await this.#stat(path);
    if (!headers) return undefined;
    const stat = JSON.parse(Buffer.from(headers, 'base64').toString()) as {
      mode: number;
      size: number;
      linkTarget: string;
    };
    const has = (bits: number) => (bits === goFolder ? stat.mode >= goFolder : (stat.mode & bits) !== 0);
    const isLink = has(goLink);
    const isFolder = has(goFolder);
    return {
      path,
      isFolder,
      isFile: !isFolder && !isLink && !has(goOther),
      size: stat.size,
      isLink,
      target: Buffer.from(stat.linkTarget ?? '').toString('latin1'),
    };
  }

  async #stat(path: string): Promise<string | undefined> {
    try {
      const answer = (await this.container.infoArchive({ path: this.#asked(path) })) as unknown as {
        headers: Record<string, string | undefined>;
      };
      return answer.headers['x-docker-container-path-stat'];
    } catch (error) {
      const { statusCode, message = '' } = error as { statusCode?: number; message?: string };
      // The daemon's own way to say that a file stands where a folder should.
      if (statusCode === 500 && (await this.#isBelowFile(path))) return undefined;
      if (statusCode === 404 || /not a directory|no such file|could not find/i.test(message)) return undefined;
      throw error;
    }
  }

  async #isBelowFile(path: string): Promise<boolean> {
    const above = posix.dirname(path);
    if (above === '/') return false;
    const kind = await this.kindOf(above);
    return kind === 'file' || kind === 'other' || (kind === undefined && (await this.#isBelowFile(above)));
  }

  async #missing(path: string): Promise<never> {
    for (let above = posix.dirname(path); above !== '/'; above = posix.dirname(above)) {
      const found = await this.followIfThere(above);
      if (found && !found.isFolder) throw notAFolder(path);
      if (found) break;
    }
    throw notThere(path);
  }
}

interface Held {
  readonly place: Promise<Place>;
  users: number;
  usedAt: number;
  dropped: boolean;
}

/** The last few images that were looked at. */
export class Places {
  readonly #connection: Connection;
  readonly #names: () => Names;
  readonly #held = new Map<string, Held>();
  #sweeping: NodeJS.Timeout | undefined;

  constructor(connection: Connection, names: () => Names) {
    this.#connection = connection;
    this.#names = names;
  }

  /** For as long as a stream of it is read. */
  async open(image: string, use: (place: Place) => Promise<Readable>): Promise<Readable> {
    const held = this.#of(image);
    held.users++;
    const done = () => this.#used(held);
    try {
      const stream = await use(await held.place);
      stream.once('close', done);
      return stream;
    } catch (error) {
      done();
      throw await this.#connection.understood(error);
    }
  }

  #used(held: Held): void {
    held.users--;
    held.usedAt = Date.now();
    if (held.dropped) this.#remove(held);
    this.#sweepSoon();
  }

  async use<T>(image: string, use: (place: Place) => Promise<T>): Promise<T> {
    const held = this.#of(image);
    held.users++;
    try {
      return await use(await held.place);
    } catch (error) {
      throw await this.#connection.understood(error);
    } finally {
      this.#used(held);
    }
  }

  /** Nothing stands on the image any more, so that it can go. */
  async drop(image: string): Promise<void> {
    const held = this.#held.get(image);
    if (!held) return;
    this.#held.delete(image);
    held.dropped = true;
    if (held.users === 0) await this.#removed(held);
  }

  async close(): Promise<void> {
    clearTimeout(this.#sweeping);
    await Promise.all([...this.#held.keys()].map(image => this.drop(image)));
  }

  #of(image: string): Held {
    const held = this.#held.get(image) ?? { place: this.#make(image), users: 0, usedAt: Date.now(), dropped: false };
    // To the end: the first is the one that was not used for longest.
    this.#held.delete(image);
    this.#held.set(image, held);
    held.place.catch(() => this.#held.delete(image));
    return held;
  }

  async #make(image: string): Promise<Place> {
    const { api } = await this.#connection.daemon();
    const names = this.#names();
    const container = await api.createContainer({
      Image: image,
      Entrypoint: ['/coppice-is-never-started'],
      Cmd: [],
      Labels: names.labels('view', image),
      NetworkDisabled: true,
      HostConfig: { NetworkMode: 'none' },
    });
    return new Place(container);
  }

  #sweepSoon(): void {
    this.#sweeping ??= setTimeout(() => {
      this.#sweeping = undefined;
      this.#sweep();
      if (this.#held.size > 0) this.#sweepSoon();
    }, idleMs / 4).unref();
    if (this.#held.size > maxPlaces) this.#sweep();
  }

  #sweep(): void {
    for (const [image, held] of this.#held) {
      if (held.users > 0 || (this.#held.size <= maxPlaces && Date.now() - held.usedAt < idleMs)) continue;
      this.#held.delete(image);
      held.dropped = true;
      this.#remove(held);
    }
  }

  /** What cannot be removed now goes when an engine starts. */
  #remove(held: Held): void {
    this.#removed(held).catch(() => undefined);
  }

  async #removed(held: Held): Promise<void> {
    const place = await held.place.catch(() => undefined);
    await place?.container.remove({ force: true, v: true });
  }
}

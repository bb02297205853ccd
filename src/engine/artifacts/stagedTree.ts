import * as fs from 'node:fs';
import path from 'node:path';
import { placeOf } from './entryName.ts';

export interface Folder {
  readonly kind: 'folder';
  readonly children: Map<string, Node>;
  /** undefined: no entry of its own told. */
  mode: number | undefined;
  mtime: Date | undefined;
}
export interface File {
  readonly kind: 'file';
}
export interface Link {
  readonly kind: 'link';
  readonly target: string;
}
export type Node = Folder | File | Link;

/** Of what an image says, only this reaches the machine: no set-uid, no set-gid. */
const PERMISSIONS = 0o777;
const MAX_LINKS = 40;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fs.constants;

/**
 * A download on its way: a private folder beside the destination that nothing else writes to. No link is made before
 * everything else is there, and none below another, so a plain path in here can lead nowhere else.
 */
export class StagedTree {
  readonly folder: string;
  readonly root: Folder = newFolder();
  readonly skipped: string[] = [];
  files = 0;
  bytes = 0;
  readonly #executable: boolean;
  readonly #grew: (files: number, bytes: number) => void;
  #writing: WrittenFile | undefined;

  constructor(
    beside: string,
    options: { readonly executable: boolean; readonly grew: (files: number, bytes: number) => void },
  ) {
    this.folder = fs.mkdtempSync(path.join(beside, '.coppice-download-'));
    this.#executable = options.executable;
    this.#grew = options.grew;
  }

  /** Answers false when the name is taken by something that is no folder. */
  addFolder(steps: readonly string[], mode: number, mtime: Date): boolean {
    const folder = this.#makeFolder(steps);
    if (!folder) return false;
    folder.mode = mode & PERMISSIONS;
    folder.mtime = mtime;
    return true;
  }

  /** Open for writing until `end`; undefined when the name is taken. */
  addFile(steps: readonly string[], mode: number, mtime: Date): WrittenFile | undefined {
    const folder = this.#makeFolder(steps.slice(0, -1));
    const name = steps.at(-1)!;
    if (!folder || folder.children.has(name)) return undefined;
    const permissions = (mode & PERMISSIONS) | (this.#executable ? 0o100 | ((mode & 0o444) >> 2) : 0);
    this.#writing = new WrittenFile(placeOf(this.folder, steps), permissions, mtime, bytes => {
      this.bytes += bytes;
      this.#grew(this.files, this.bytes);
    });
    folder.children.set(name, { kind: 'file' });
    this.files++;
    return this.#writing;
  }

  /** A second name of a file that is here already: a copy, so that the two stay independent. */
  addCopy(steps: readonly string[], original: readonly string[]): boolean {
    const folder = this.#makeFolder(steps.slice(0, -1));
    const name = steps.at(-1)!;
    if (!folder || folder.children.has(name) || this.#find(original)?.kind !== 'file') return false;
    const source = placeOf(this.folder, original);
    fs.copyFileSync(source, placeOf(this.folder, steps), fs.constants.COPYFILE_EXCL);
    const stats = fs.statSync(source);
    fs.utimesSync(placeOf(this.folder, steps), stats.atime, stats.mtime);
    folder.children.set(name, { kind: 'file' });
    this.files++;
    this.bytes += stats.size;
    return true;
  }

  /** Made at the end, if it stays inside. */
  addLink(steps: readonly string[], target: string): boolean {
    const folder = this.#makeFolder(steps.slice(0, -1));
    const name = steps.at(-1)!;
    if (!folder || folder.children.has(name)) return false;
    folder.children.set(name, { kind: 'link', target });
    return true;
  }

  /** Everything else is here: makes the links that lead nowhere else and answers the names of the others. */
  makeLinks(): string[] {
    const links: (readonly [string[], Link])[] = [];
    collectLinks(this.root, [], links);
    const outside = links.filter(([steps, link]) => !this.#staysInside(steps.slice(0, -1), link.target));
    for (const [steps] of outside) (this.#find(steps.slice(0, -1)) as Folder).children.delete(steps.at(-1)!);
    for (const [steps, link] of links) {
      if (this.#find(steps) === link) fs.symlinkSync(Buffer.from(link.target, 'latin1'), placeOf(this.folder, steps));
    }
    return outside.map(([steps]) => steps.join('/'));
  }

  /** Follows a link as the kernel would, through the other links of this tree. */
  #staysInside(from: readonly string[], target: string): boolean {
    if (target === '' || target.startsWith('/')) return false;
    const here = [...from];
    const pending = target.split('/').reverse();
    let links = 1;
    for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
      if (step === '' || step === '.') continue;
      if (step === '..') {
        if (here.pop() === undefined) return false;
        continue;
      }
      const node = this.#find([...here, step]);
      if (node?.kind !== 'link') {
        here.push(step);
        continue;
      }
      links++;
      if (links > MAX_LINKS || node.target.startsWith('/')) return false;
      pending.push(...node.target.split('/').reverse());
    }
    return true;
  }

  #find(steps: readonly string[]): Node | undefined {
    let node: Node | undefined = this.root;
    for (const step of steps) node = node?.kind === 'folder' ? node.children.get(step) : undefined;
    return node;
  }

  #makeFolder(steps: readonly string[]): Folder | undefined {
    let folder = this.root;
    for (const [depth, step] of steps.entries()) {
      let next = folder.children.get(step);
      if (!next) {
        fs.mkdirSync(placeOf(this.folder, steps.slice(0, depth + 1)), { mode: 0o700 });
        next = newFolder();
        folder.children.set(step, next);
      }
      if (next.kind !== 'folder') return undefined;
      folder = next;
    }
    return folder;
  }

  /** As if it had never been. */
  remove(): void {
    this.#writing?.abandon();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

export class WrittenFile {
  readonly #fd: number;
  readonly #mode: number;
  readonly #mtime: Date;
  readonly #wrote: (bytes: number) => void;
  #open = true;

  constructor(place: fs.PathLike, mode: number, mtime: Date, wrote: (bytes: number) => void) {
    this.#fd = fs.openSync(place, O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0), 0o600);
    this.#mode = mode;
    this.#mtime = mtime;
    this.#wrote = wrote;
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.#fd, bytes, done);
    this.#wrote(bytes.length);
  }

  end(): void {
    if (this.#mode !== 0o600) fs.fchmodSync(this.#fd, this.#mode);
    fs.futimesSync(this.#fd, this.#mtime, this.#mtime);
    this.abandon();
  }

  abandon(): void {
    if (!this.#open) return;
    this.#open = false;
    fs.closeSync(this.#fd);
  }
}

function newFolder(): Folder {
  return { kind: 'folder', children: new Map(), mode: undefined, mtime: undefined };
}

function collectLinks(folder: Folder, at: readonly string[], links: (readonly [string[], Link])[]): void {
  for (const [name, node] of folder.children) {
    if (node.kind === 'link') links.push([[...at, name], node]);
    else if (node.kind === 'folder') collectLinks(node, [...at, name], links);
  }
}

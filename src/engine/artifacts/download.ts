import { realpathSync } from 'node:fs';
import path from 'node:path';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';
import type { Call } from '../call.ts';
import { type ArtifactSource, findSource } from './artifactSource.ts';
import { type Destination, destinationOf } from './destination.ts';
import { fromText, shown, stepsOf } from './entryName.ts';
import { placeFile, placeFolder } from './placeTree.ts';
import { readTar, type TarEntry } from './readTar.ts';
import { StagedTree, WrittenFile } from './stagedTree.ts';

type Request = VerbRequest<'download'>;

/** A file up to this size is asked for at once; larger ones, and folders, come as a stream. */
const SMALL_FILE = 1_048_576;
const READS_AT_ONCE = 16;
const PROGRESS_MS = 100;

/**
 * Takes a file, a folder or what a glob matches out of an image. It is put together aside and given its place at the
 * end: a download that fails or is cancelled leaves nothing.
 */
export async function download(
  files: ImageFiles,
  home: string,
  request: Request,
  call: Call,
): Promise<VerbResult<'download'>> {
  const source = await findSource(files, request.path, call.signal);
  const ours = realpathSync(home);
  const destination = writable(() => destinationOf(request.destination, source, request.overwrite, ours));
  const grew = progressOf(call, source.kind === 'file' ? source.entry.size : undefined);
  const tree = writable(() => new StagedTree(destination.staging, { executable: request.executable, grew }));
  try {
    await new Fetch(files, tree, call.signal).fetch(source);
    call.signal.throwIfAborted();
    tree.skipped.push(...tree.makeLinks().map(name => insideName(source, name)));
    writable(() => place(tree, source, destination, request.overwrite, ours));
    return {
      destination: destination.path,
      files: tree.files,
      size: tree.bytes,
      executable: request.executable || (source.kind === 'file' && (source.entry.mode & 0o111) !== 0),
      skipped: tree.skipped,
    };
  } finally {
    tree.remove();
  }
}

function place(
  tree: StagedTree,
  source: ArtifactSource,
  destination: Destination,
  overwrite: boolean,
  home: string,
): void {
  if (source.kind === 'file') placeFile(tree, STAGED_FILE, destination, overwrite);
  else placeFolder(tree, destination, overwrite, home);
}

/** The name of a single file while it is on its way. */
const STAGED_FILE = 'file';

/** Brings what was found into the staged tree. */
class Fetch {
  readonly #files: ImageFiles;
  readonly #tree: StagedTree;
  readonly #signal: AbortSignal;

  constructor(files: ImageFiles, tree: StagedTree, signal: AbortSignal) {
    this.#files = files;
    this.#tree = tree;
    this.#signal = signal;
  }

  async fetch(source: ArtifactSource): Promise<void> {
    switch (source.kind) {
      case 'file':
        if (source.entry.size <= SMALL_FILE) return this.#read(source.entry, [STAGED_FILE]);
        await this.#archive(source.entry, [STAGED_FILE]);
        if (this.#tree.files === 0) throw unreadable(source.entry);
        return;
      case 'folder':
        return this.#archive(source.entry, []);
      case 'glob':
        return this.#matches(source.base, source.entries);
    }
  }

  async #matches(base: string, entries: readonly FileEntry[]): Promise<void> {
    const small: FileEntry[] = [];
    for (const entry of entries) {
      const steps = below(base, entry);
      if (entry.type === 'link' && this.#tree.addLink(steps, fromText(entry.link ?? ''))) continue;
      if (entry.type === 'link' || entry.type === 'other') this.#tree.skipped.push(entry.path);
      else if (entry.type === 'file' && entry.size <= SMALL_FILE) small.push(entry);
      else await this.#archive(entry, steps);
    }
    const next = small.values();
    const reader = async () => {
      for (const entry of next) await this.#read(entry, below(base, entry));
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, reader));
  }

  async #read(entry: FileEntry, steps: readonly string[]): Promise<void> {
    this.#signal.throwIfAborted();
    const { bytes } = await this.#files.read(entry.path, 0, entry.size || 1);
    const file = orSkip(() => this.#tree.addFile(steps, entry.mode, new Date(entry.mtime)));
    if (!file) this.#tree.skipped.push(entry.path);
    file?.write(bytes);
    file?.end();
  }

  /** A file or a whole folder, which becomes `at` in the tree. */
  async #archive(entry: FileEntry, at: readonly string[]): Promise<void> {
    const top = entry.path === '/' ? [] : [fromText(path.posix.basename(entry.path))];
    const above = path.posix.dirname(entry.path);
    const moved = (name: string): string[] | undefined => {
      const steps = stepsOf(name);
      return steps && top.every((step, index) => steps[index] === step)
        ? [...at, ...steps.slice(top.length)]
        : undefined;
    };
    const take = (item: TarEntry) => {
      const steps = moved(item.name);
      const taken = steps && orSkip(() => this.#take(item, steps, moved));
      if (!taken) this.#tree.skipped.push(path.posix.join(above, shown(item.name)));
      return taken instanceof WrittenFile ? taken : undefined;
    };
    await readTar(await this.#files.archive(entry.path, this.#signal), take, this.#signal);
  }

  /** false or undefined: it cannot be had here. */
  #take(
    item: TarEntry,
    steps: readonly string[],
    moved: (name: string) => string[] | undefined,
  ): WrittenFile | boolean | undefined {
    if (item.type === 'directory') return this.#tree.addFolder(steps, item.mode, item.mtime);
    if (steps.length === 0) return false;
    switch (item.type) {
      case 'file':
      case 'contiguous-file':
        return this.#tree.addFile(steps, item.mode, item.mtime);
      case 'symlink':
        return this.#tree.addLink(steps, item.target);
      case 'link': {
        const original = moved(item.target);
        return original !== undefined && this.#tree.addCopy(steps, original);
      }
      default:
        return false;
    }
  }
}

/** Tells how far it has come, a few times a second. */
function progressOf(call: Call, total: number | undefined): (files: number, bytes: number) => void {
  let told = Date.now();
  return (files, bytes) => {
    const now = Date.now();
    if (now - told < PROGRESS_MS) return;
    told = now;
    const message = `downloading, ${files} ${files === 1 ? 'file' : 'files'}`;
    call.progress({ message, done: bytes, ...(total === undefined ? {} : { total }) });
  };
}

const below = (base: string, entry: FileEntry): string[] => stepsOf(fromText(path.posix.relative(base, entry.path)))!;

/** A name that this machine cannot have is skipped; whatever else goes wrong ends the download. */
function orSkip<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENAMETOOLONG' || code === 'EILSEQ') return undefined;
    throw error;
  }
}

/** The name that an entry of the tree has in the image. */
function insideName(source: ArtifactSource, name: string): string {
  return path.posix.join(source.kind === 'glob' ? source.base : source.entry.path, shown(name));
}

function unreadable(entry: FileEntry): CoppiceError {
  return new CoppiceError('path_not_found', `${entry.path} may not be read: it is private to the machine's root`, {
    field: 'path',
    data: { path: entry.path },
  });
}

/** Runs what writes to the destination's folder. */
function writable<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT')
      throw invalidInput('destination', `may not be written: ${message}`, 'Choose a folder you may write to.');
    throw error;
  }
}

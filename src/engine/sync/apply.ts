import { createHash } from 'node:crypto';
import { closeSync, readSync, realpathSync, type Stats, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { openRooted, RootedError, type RootedFolder } from '../../paths/rooted.ts';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { Applied } from '../../protocol/schemas/states.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';
import { fromText, toText } from '../../workspace/bytePath.ts';
import { type ExcludeOptions, Excludes, IGNORE_FILES } from '../../workspace/excludes.ts';
import type { Call } from '../call.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from '../images/imageStore.ts';
import type { OperationStore } from '../operations/operationStore.ts';
import type { Runtimes } from '../runtimes.ts';
import type { Blobs } from '../store/blobs.ts';
import type { StateRecord, StateStore } from './stateStore.ts';

/** A file, link or folder in one of the three trees; what is not there is undefined. */
type Version =
  | { readonly type: 'file'; readonly sha256: string; readonly mode: number; readonly size: number }
  | { readonly type: 'link'; readonly target: string }
  | { readonly type: 'directory'; readonly mode: number };

interface Plan {
  readonly applied: Applied[];
  readonly conflicts: { path: string; reason: string }[];
  already: number;
  leftOut: number;
}

/**
 * The verb `apply`: what happened to a synced folder inside an image comes home, by three-way comparison with the directory
 * state both sides started from. A file that changed on both sides is left alone and listed.
 */
export class Apply {
  readonly #images: ImageStore;
  readonly #operations: OperationStore;
  readonly #states: StateStore;
  readonly #blobs: Blobs;
  readonly #runtimes: Runtimes;

  constructor(parts: {
    readonly images: ImageStore;
    readonly operations: OperationStore;
    readonly states: StateStore;
    readonly blobs: Blobs;
    readonly runtimes: Runtimes;
  }) {
    this.#images = parts.images;
    this.#operations = parts.operations;
    this.#states = parts.states;
    this.#blobs = parts.blobs;
    this.#runtimes = parts.runtimes;
  }

  async call(request: VerbRequest<'apply'>, call: Call): Promise<VerbResult<'apply'>> {
    const image = this.#images.resolve(request.image);
    const { state, past } = this.#stateFor(image, request.path);
    const inside = request.path ?? state.destination;
    // A path below the destination means the same place below the folder that is written to.
    const below = path.posix.relative(state.destination, inside);
    const to = request.to ?? path.join(state.source, below);
    if (!statSync(to, { throwIfNoEntry: false })?.isDirectory())
      throw new CoppiceError('not_a_directory', `no folder ${to}`, { field: 'to' });
    const wanted = filterOf(request.paths);
    const comparison = new Comparison(this.#runtimes.of(image).files(toRuntimeImage(image)), inside, to);
    try {
      const base = this.#baseEntries(state, below);
      const theirs = await comparison.list(await this.#touched(past, inside, call.signal));
      const plan = await comparison.plan(base, theirs, this.#excludesOf(state, below), wanted, call.signal);
      if (!request.dry_run) await comparison.write(plan, theirs, call);
      return {
        image: image.uuid,
        base_state: state.id,
        path: inside,
        to: realpathSync(to),
        applied: plan.applied,
        conflicts: plan.conflicts,
        already: plan.already,
        left_out: plan.leftOut,
        dry_run: request.dry_run,
      };
    } finally {
      comparison.close();
    }
  }

  /** The state of the nearest operation in the image's past that covers the path, and the images made since. */
  #stateFor(
    image: ImageRecord,
    inside: string | undefined,
  ): { readonly state: StateRecord; readonly past: readonly ImageRecord[] } {
    const past: ImageRecord[] = [];
    for (
      let at: ImageRecord | undefined = image;
      at;
      at = at.parent === null ? undefined : this.#images.find(at.parent)
    ) {
      past.push(at);
      const id = at.operationId === null ? null : this.#operations.find(at.operationId)?.directoryStateId;
      if (!id) continue;
      const state = this.#states.find(id);
      if (inside === undefined || isBelow(path.posix.relative(state.destination, inside))) return { state, past };
    }
    throw invalidInput(
      inside === undefined ? 'image' : 'path',
      inside === undefined
        ? `no synced folder went into image ${image.uuid}`
        : `${inside} does not lie in a synced folder of image ${image.uuid}`,
      'Use download to take files out of it.',
    );
  }

  /** What the runs since then wrote, by path below `inside`: only that can differ from the state. */
  async #touched(past: readonly ImageRecord[], inside: string, signal: AbortSignal): Promise<Set<string>> {
    const touched = new Set<string>();
    for (const child of past) {
      const parent = child.parent === null ? undefined : this.#images.find(child.parent);
      if (!parent) continue;
      for (const entry of await this.#runtimes.of(child).diff(toRuntimeImage(parent), toRuntimeImage(child), {
        path: inside,
        signal,
      })) {
        const file = path.posix.relative(inside, entry.path);
        if (file !== '' && isBelow(file)) touched.add(file);
      }
    }
    return touched;
  }

  #baseEntries(state: StateRecord, below: string): Map<string, Version> {
    const prefix = below === '' ? '' : `${below}/`;
    const base = new Map<string, Version>();
    for (const [bytePath, entry] of this.#states.entries(state)) {
      const file = toText(bytePath);
      if (!file.startsWith(prefix)) continue;
      const name = file.slice(prefix.length);
      if (entry.kind === 'file')
        base.set(name, { type: 'file', sha256: entry.value, mode: entry.mode, size: entry.size });
      else if (entry.kind === 'link') base.set(name, { type: 'link', target: toText(entry.value) });
      else base.set(name, { type: 'directory', mode: entry.mode });
    }
    return base;
  }

  /** The rules as they were in the state, so that a run cannot widen them. */
  #excludesOf(state: StateRecord, below: string): (file: string, directory: boolean) => boolean {
    const options = JSON.parse(state.excludes) as ExcludeOptions;
    const texts = new Map<string, { [name: string]: string }>();
    for (const [bytePath, entry] of this.#states.entries(state)) {
      const name = bytePath.slice(bytePath.lastIndexOf('/') + 1);
      if (entry.kind !== 'file' || !(IGNORE_FILES as readonly string[]).includes(name)) continue;
      const folder = bytePath.slice(0, Math.max(0, bytePath.length - name.length - 1));
      texts.set(folder, { ...texts.get(folder), [name]: this.#blobs.read(entry.value).toString('latin1') });
    }
    const inside = new Map<string, Excludes | undefined>();
    const enter = (folder: string): Excludes | undefined => {
      if (inside.has(folder)) return inside.get(folder);
      const slash = folder.lastIndexOf('/');
      const outer = folder === '' ? Excludes.root(options) : enter(slash < 0 ? '' : folder.slice(0, slash));
      const rules =
        outer && (folder === '' || !outer.excludes(folder, true))
          ? outer.inside(folder, texts.get(folder) ?? {})
          : undefined;
      inside.set(folder, rules);
      return rules;
    };
    return (file, directory) => {
      const whole = fromText(below === '' ? file : `${below}/${file}`);
      const slash = whole.lastIndexOf('/');
      return enter(slash < 0 ? '' : whole.slice(0, slash))?.excludes(whole, directory) ?? true;
    };
  }
}

/** A name may begin with two points. */
const isBelow = (relative: string): boolean => relative !== '..' && !relative.startsWith('../');

function filterOf(paths: readonly string[]): (file: string) => boolean {
  const wanted = paths.map(file => {
    const clean = path.posix.normalize(file).replace(/\/+$/, '');
    if (path.isAbsolute(file) || !isBelow(clean))
      throw invalidInput('paths', `${file} must be relative and stay below the folder`);
    return clean;
  });
  if (wanted.length === 0) return () => true;
  return file => wanted.some(one => one === '.' || file === one || file.startsWith(`${one}/`));
}

/** The image's side and the folder's side, each asked only where the other one or the base gives reason to. */
class Comparison {
  readonly #files: ImageFiles;
  readonly #inside: string;
  readonly #folder: RootedFolder;

  constructor(files: ImageFiles, inside: string, to: string) {
    this.#files = files;
    this.#inside = inside;
    this.#folder = openRooted(to);
  }

  /** How the image has the paths that were touched; null where it no longer has them. */
  async list(touched: ReadonlySet<string>): Promise<Map<string, FileEntry | null>> {
    const entries = new Map<string, FileEntry | null>();
    for (const file of touched) {
      try {
        entries.set(file, await this.#files.stat(`${this.#inside}/${file}`));
      } catch (error) {
        if (!(error instanceof CoppiceError) || (error.code !== 'path_not_found' && error.code !== 'not_a_directory'))
          throw error;
        entries.set(file, null);
      }
    }
    return entries;
  }

  async plan(
    base: ReadonlyMap<string, Version>,
    theirs: ReadonlyMap<string, FileEntry | null>,
    excluded: (file: string, directory: boolean) => boolean,
    wanted: (file: string) => boolean,
    signal: AbortSignal,
  ): Promise<Plan> {
    const plan: Plan = { applied: [], conflicts: [], already: 0, leftOut: 0 };
    for (const file of withLostContent(base, theirs)) {
      signal.throwIfAborted();
      const entry = theirs.get(file) ?? undefined;
      const before = base.get(file);
      if (!wanted(file) || entry?.type === 'other') continue;
      // A folder is only made or removed together with what is in it, unless it is empty.
      const their = entry === undefined ? undefined : await this.#version(entry, before);
      if (same(their, before)) continue;
      if (before === undefined && excluded(file, entry?.type === 'directory')) {
        plan.leftOut++;
        continue;
      }
      const our = this.#ours(file);
      if (same(our, their) || (our?.type === 'directory' && their?.type === 'directory')) {
        if (their?.type !== 'directory') plan.already++;
      } else if (!same(our, before)) plan.conflicts.push({ path: file, reason: conflictReason(our, before, their) });
      else
        plan.applied.push({
          path: file,
          change: before === undefined ? 'A' : their === undefined ? 'D' : 'M',
          type: (their ?? before)!.type,
          size: entry?.size ?? 0,
        });
    }
    return plan;
  }

  async #version(entry: FileEntry, before: Version | undefined): Promise<Version> {
    if (entry.type === 'link') return { type: 'link', target: entry.link ?? '' };
    if (entry.type === 'directory')
      return { type: 'directory', mode: before?.type === 'directory' ? before.mode : entry.mode };
    const hash = createHash('sha256');
    for (let offset = 0; offset < entry.size; ) {
      const { bytes } = await this.#files.read(entry.path, offset, 1 << 20);
      if (bytes.length === 0) break;
      hash.update(bytes);
      offset += bytes.length;
    }
    return { type: 'file', sha256: hash.digest('hex'), mode: entry.mode, size: entry.size };
  }

  #ours(file: string): Version | undefined {
    let stats: Stats;
    try {
      stats = this.#folder.lstat(file);
    } catch (error) {
      if (error instanceof RootedError && (error.code === 'path_not_found' || error.code === 'not_a_directory'))
        return undefined;
      throw asCoppiceError(error);
    }
    if (stats.isSymbolicLink()) return { type: 'link', target: this.#folder.readlink(file).toString('utf8') };
    if (stats.isDirectory()) return { type: 'directory', mode: stats.mode & 0o7777 };
    const fd = this.#folder.openFile(file);
    try {
      const hash = createHash('sha256');
      const buffer = Buffer.allocUnsafe(1 << 20);
      for (let got = readSync(fd, buffer); got > 0; got = readSync(fd, buffer)) hash.update(buffer.subarray(0, got));
      return { type: 'file', sha256: hash.digest('hex'), mode: stats.mode & 0o7777, size: stats.size };
    } finally {
      closeSync(fd);
    }
  }

  async write(plan: Plan, theirs: ReadonlyMap<string, FileEntry | null>, call: Call): Promise<void> {
    // Deepest first, so that a folder is empty when its turn comes; what stands in the way of a new kind goes too.
    for (const change of plan.applied.toReversed()) if (change.change === 'D') this.#remove(change);
    const rest = plan.applied.filter(change => change.change !== 'D');
    for (const [index, change] of rest.entries()) {
      call.signal.throwIfAborted();
      call.progress({ message: change.path, done: index, total: rest.length });
      try {
        await this.#put(change.path, theirs.get(change.path)!);
      } catch (error) {
        throw asCoppiceError(error);
      }
    }
  }

  #remove(change: Applied): void {
    // A folder that holds something of the workspace's own stays.
    if (change.type === 'directory' && this.#folder.list(change.path).length > 0) return;
    this.#folder.remove(change.path);
  }

  async #put(file: string, entry: FileEntry): Promise<void> {
    const our = this.#ours(file);
    if (entry.type === 'directory') {
      if (our && our.type !== 'directory') this.#folder.remove(file);
      this.#folder.makeFolder(file, entry.mode & 0o777);
      return;
    }
    if (our?.type === 'directory' || (our && entry.type === 'link')) this.#folder.remove(file);
    const slash = file.lastIndexOf('/');
    if (slash > 0) this.#folder.makeFolder(file.slice(0, slash));
    if (entry.type === 'link') {
      this.#folder.symlink(entry.link ?? '', file);
      return;
    }
    // Set-uid bits that a run set have no business in a workspace.
    const pending = this.#folder.createFile(file, { mode: entry.mode & 0o777 });
    try {
      for (let offset = 0; offset < entry.size; ) {
        const { bytes } = await this.#files.read(entry.path, offset, 1 << 20);
        if (bytes.length === 0) break;
        for (let at = 0; at < bytes.length; ) at += writeSync(pending.fd, bytes, at);
        offset += bytes.length;
      }
      pending.commit();
    } finally {
      pending.abandon();
    }
  }

  close(): void {
    this.#folder.close();
  }
}

function same(a: Version | undefined, b: Version | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.type === 'file' && b.type === 'file') return a.sha256 === b.sha256 && (a.mode & 0o777) === (b.mode & 0o777);
  if (a.type === 'link' && b.type === 'link') return a.target === b.target;
  return a.type === 'directory' && b.type === 'directory' && (a.mode & 0o777) === (b.mode & 0o777);
}

function conflictReason(our: Version | undefined, before: Version | undefined, their: Version | undefined): string {
  if (before === undefined) return 'made on both sides, differently';
  if (our === undefined) return 'deleted in the folder, changed in the image';
  if (their === undefined) return 'changed in the folder, deleted in the image';
  return 'changed on both sides';
}

/** All touched paths in order; where a folder is gone, what the state had in it is gone too. */
function withLostContent(base: ReadonlyMap<string, Version>, theirs: ReadonlyMap<string, FileEntry | null>): string[] {
  const lost = [...theirs]
    .filter(([file, entry]) => entry?.type !== 'directory' && base.get(file)?.type === 'directory')
    .map(([file]) => `${file}/`);
  const inside = lost.length === 0 ? [] : [...base.keys()].filter(file => lost.some(folder => file.startsWith(folder)));
  return [...new Set([...theirs.keys(), ...inside])].sort();
}

function asCoppiceError(error: unknown): unknown {
  if (!(error instanceof RootedError)) return error;
  const code = error.code === 'too_many_links' ? 'path_escapes' : error.code;
  return new CoppiceError(code, error.message, {
    field: 'to',
    fix: 'A link in the folder stands in the way; nothing was written through it.',
  });
}

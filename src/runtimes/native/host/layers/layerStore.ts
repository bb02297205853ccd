import { execFile } from 'node:child_process';
import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { ImportedImage, RuntimeImage } from '../../../runtime.ts';
import { Chains } from './chains.ts';
import { hasChanges } from './changes.ts';
import { flatten } from './flatten.ts';
import { Holds } from './holds.ts';
import { type ImageData, imageData } from './imageData.ts';
import { LaidStates } from './laidStates.ts';
import { ensureStubs, MachineBase } from './machineBase.ts';
import type { MountPlan, Overlays } from './mountPlan.ts';
import { type SharedAs, SharedLayers } from './sharedLayers.ts';
import { rootfsStubs } from './stubs.ts';
import { type SeenLinks, smallTreeSize, treeSize } from './treeSize.ts';

export interface LayerStoreOptions {
  /** The store's folders as the namespace host sees them, all on one file system. */
  readonly layers: string;
  readonly meta: string;
  readonly runs: string;
  /** For what is half made or half deleted; emptied at start. */
  readonly staging: string;
  /** A folder for short-lived mount points. */
  readonly scratch: string;
  readonly overlays: Overlays;
  /** Where the store is on the machine: no image may show it. */
  readonly home: string;
  readonly log: (line: string) => void;
}

/** What a layer's `<id>.json` says, so that the images could be found again without the engine's store. */
export interface MadeBy {
  readonly image: string;
  /** The next layer below that was committed or imported. */
  readonly parent: string | null;
  readonly laid: readonly string[];
  readonly host: boolean;
  /** The directory state whose tree it is. */
  readonly state?: string;
  /** The layer of another state that it lies over: it holds only what differs. */
  readonly over?: string;
  /** Of a layer that came with an image from outside. */
  readonly shared?: SharedAs;
}
interface LayerMeta extends MadeBy {
  readonly fingerprint: string | null;
  readonly created: string;
}

/** A layer that is being made: nobody sees it before it is kept. */
export interface HalfLayer {
  readonly id: string;
  readonly folder: string;
  keep(made: MadeBy): void;
  drop(): void;
}

/** Looking at each file of a larger change would be most of the time that keeping it takes. */
const countedAtOnce = 100;
/** From here on the older part of a chain is merged. */
const longChain = 48;
/** How many of the newest layers are left as they are. */
const keptLayers = 16;
/** Mount options must fit in a page: no chain may get longer. */
const tooLongChain = 96;
/** Starting a process holds the host up: not while runs are being answered. */
const syncDelayMs = 100;

/** The layers of all native images: immutable trees named by eight characters, and how to stack them. */
export class LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #machine: MachineBase;
  readonly #rootfsStubs: string;
  /** Which of the machine's folders a layer has; it never changes. */
  readonly #topsOf = new Map<string, ReadonlySet<string>>();
  #syncTimer: NodeJS.Timeout | undefined;
  readonly #chains: Chains;
  readonly #pins = new Map<string, number>();
  /** To be deleted as soon as nothing stands on them. */
  readonly #doomed = new Set<string>();
  /** Layers that were there when the host started. */
  readonly #found: ReadonlySet<string>;
  readonly #states: LaidStates;
  /** Layers of images from outside, by digest. */
  readonly shared = new SharedLayers();
  readonly holds = new Holds();
  /** Found again by other engines only when they are on the disk for sure. */
  #unsynced = new Map<string, MadeBy>();
  #onRemove: (layers: ReadonlySet<string>) => void = () => {};
  #deleting: Promise<void> = Promise.resolve();
  #flattening: Promise<void> = Promise.resolve();

  constructor(options: LayerStoreOptions) {
    this.#options = options;
    for (const folder of [options.layers, options.meta, options.runs, options.staging, options.scratch])
      fs.mkdirSync(folder, { recursive: true });
    for (const name of fs.readdirSync(options.staging)) this.#dropLater(this.#staged(name));
    this.#found = new Set(fs.readdirSync(options.layers));
    this.#states = new LaidStates(this.#found);
    this.#chains = new Chains(options.meta);
    this.#learnLayers();
    const ensure = this.#ensure.bind(this);
    this.#machine = new MachineBase(options.home, ensure);
    this.#rootfsStubs = ensureStubs(rootfsStubs(), ensure);
  }

  importHost(): ImportedImage {
    return this.#machine.importHost();
  }

  /** An empty folder that becomes a layer. */
  begin(): HalfLayer {
    const id = this.#newId();
    const folder = this.#staged(id);
    fs.mkdirSync(folder);
    fs.chmodSync(folder, 0o755);
    return {
      id,
      folder,
      keep: made => {
        const { shared, ...rest } = made;
        this.#writeMeta(id, rest);
        fs.renameSync(folder, this.#layer(id));
        if (shared !== undefined) {
          this.shared.learn({ ...shared, id });
          this.#unsynced.set(id, made);
        }
        this.#syncLater();
      },
      drop: () => this.#dropLater(folder),
    };
  }

  /** Where a layer lies. */
  folderOf(id: string): string {
    return this.#layer(id);
  }

  /** Layers that no image has. */
  drop(layers: readonly string[]): void {
    this.#delete(layers.filter(id => this.has(id) && !this.holds.has(id)));
  }

  identifyHost(): string {
    return this.#machine.identify();
  }

  /** How to mount an image. Nothing is mounted or made by asking. */
  prepare(image: RuntimeImage): MountPlan {
    return this.plan(imageData(image));
  }

  /** The layers that are really mounted for an image: long chains have shorter ones that show the same. */
  resolve(image: ImageData): ImageData {
    return { ...image, layers: this.#chains.resolve(image.layers) };
  }

  has(id: string): boolean {
    return fs.existsSync(this.#layer(id));
  }

  /** Roots of the layers that one of the two images has above what both stand on. */
  touched(a: ImageData, b: ImageData): readonly string[] {
    const above = unshared(a, b);
    const layers = above.every(id => this.has(id)) ? above : unshared(this.resolve(a), this.resolve(b));
    return layers.map(id => this.#layer(id));
  }

  plan(image: ImageData): MountPlan {
    const layers = this.resolve(image).layers;
    for (const id of layers) this.#mustExist(id);
    const all = [...layers, image.host ? this.#machine.stubs : this.#rootfsStubs];
    const lowerRoot = all.map(id => this.#layer(id));
    if (!image.host) return { lowerRoot, tops: [] };
    const tops = this.#machine.folders.map(name => {
      const copy = this.#machine.copyOf(name);
      const having = [...all.filter(id => this.#tops(id).has(name)), ...(copy === undefined ? [] : [copy])];
      const folders = having.map(id => path.join(this.#layer(id), name));
      return { name, lower: copy === undefined ? [...folders, `/${name}`] : folders };
    });
    return { lowerRoot, tops };
  }

  /** Did the run on that image write into its upper folder? */
  changed(upper: string, image: RuntimeImage): Promise<boolean> {
    return hasChanges(upper, this.prepare(image), this.#options.overlays, this.#options.scratch);
  }

  /** What a dead run wrote becomes a layer: a rename. `image` is what it ran on, layers that were laid under it and all. */
  async commitUpper(
    uuid: string,
    upper: string,
    image: RuntimeImage,
  ): Promise<'unchanged' | { readonly data: ImageData; readonly size: number | null }> {
    if (!(await this.changed(upper, image))) return 'unchanged';
    const below = imageData(image);
    for (const top of below.host ? this.#machine.folders : []) removeIfBare(path.join(upper, top));
    const size = smallTreeSize(upper, countedAtOnce);
    const id = this.#newId();
    const parent = below.layers.find(layer => !below.laid.includes(layer)) ?? null;
    this.#writeMeta(id, { image: uuid, parent, laid: below.laid, host: below.host });
    fs.renameSync(upper, this.#layer(id));
    this.#syncLater();
    const data: ImageData = { ...below, layers: [id, ...below.layers] };
    await this.keepShort(data);
    return { data, size };
  }

  /** Bytes of the image's own topmost layer. */
  measure(image: RuntimeImage): Promise<number> {
    const top = imageData(image).layers[0];
    return top === undefined ? Promise.resolve(0) : treeSize(this.#layer(top), 'whole');
  }

  /** Its layers stay until the answer is called: a living sandbox stands on them. */
  pin(image: RuntimeImage): () => void {
    const layers = this.#states.withGrounds(this.resolve(imageData(image)).layers);
    for (const id of layers) this.#pins.set(id, (this.#pins.get(id) ?? 0) + 1);
    let pinned = true;
    return () => {
      if (!pinned) return;
      pinned = false;
      for (const id of layers) this.#unpin(id);
    };
  }

  /** A directory state's tree becomes a layer under its own name. Immutable: one that is there already stays. */
  adoptState(state: string, id: string, folder: string, over: string | undefined): void {
    if (this.stateLayers(state, id)) {
      this.#dropLater(folder);
      return;
    }
    // Laid anew it may itself be no more than a difference: another folder came to the same state.
    if (over !== undefined && (!this.has(over) || this.#states.isDifference(over))) {
      this.#dropLater(folder);
      throw new CoppiceError('state_not_found', `the tree that ${state} lies over is gone`, { data: { layer: over } });
    }
    this.#writeMeta(id, {
      image: '',
      parent: null,
      laid: [],
      host: false,
      state,
      ...(over === undefined ? {} : { over }),
    });
    fs.renameSync(folder, this.#layer(id));
    // It and its ground are the newest now: neither goes before the run comes that they were laid for.
    this.stateLayers(state, id);
  }

  /** The layers that show that state and no other, topmost first: its own, and the one it differs from. */
  stateLayers(state: string, id: string): readonly string[] | undefined {
    if (!this.has(id)) return undefined;
    const meta = this.#readMeta(id);
    if (meta?.state !== state)
      throw new CoppiceError('internal', `layer ${id} belongs to ${meta?.state ?? 'nobody known'}, not to ${state}`);
    const layers = meta.over === undefined ? [id] : [id, meta.over];
    if (!layers.every(layer => this.has(layer))) {
      this.#delete([id]);
      return undefined;
    }
    this.#states.use(layers);
    return layers;
  }

  /** Trees of states that no image stands on and no run has any more, but for the last few: the next run is likely of one. */
  forgetStates(): void {
    const idle = this.#states.idle(id => this.#pins.has(id));
    if (idle.length > 0) this.#delete(idle);
  }

  /** Deletes what none of the others needs; answers the bytes that become free. */
  async removeImage(image: RuntimeImage, others: readonly RuntimeImage[]): Promise<number> {
    this.holds.release(image.uuid);
    const data = imageData(image);
    const needed = this.#needed(others);
    const mine = new Set([...data.layers, ...this.resolve(data).layers]);
    return this.#remove([...mine].filter(id => !needed.has(id) && this.has(id)));
  }

  /** At the start of the engine: whatever was there before and belongs to none of these images goes. */
  async reap(images: readonly RuntimeImage[], runs: readonly string[]): Promise<void> {
    const needed = this.#needed(images);
    const living = new Set(runs);
    // Looked at before anything is awaited: what begins meanwhile is not left over.
    const dead = fs.readdirSync(this.#options.runs).filter(run => !living.has(run));
    const meta = fs.readdirSync(this.#options.meta);
    await this.#remove([...this.#found].filter(id => !needed.has(id) && this.has(id)));
    for (const name of meta) {
      const id = name.slice(0, name.indexOf('.'));
      if (!this.has(id)) fs.rmSync(path.join(this.#options.meta, name), { force: true });
    }
    for (const run of dead) this.#dropLater(path.join(this.#options.runs, run));
  }

  /** Resolves when what was dropped so far is off the disk, and no chain is being merged. */
  async settled(): Promise<void> {
    await this.#flattening;
    await this.#deleting;
  }

  /** Told before layers go. */
  onRemove(listener: (layers: ReadonlySet<string>) => void): void {
    this.#onRemove = listener;
  }

  #needed(images: readonly RuntimeImage[]): Set<string> {
    const needed = new Set([this.#rootfsStubs, ...this.#machine.layers]);
    for (const image of images) for (const id of this.resolve(imageData(image)).layers) needed.add(id);
    for (const id of this.holds.layers()) needed.add(id);
    return new Set(this.#states.withGrounds([...needed]));
  }

  #goneOf(layers: readonly string[]): string[] {
    const laid = this.#states.newlyLaidUnder(layers);
    return layers.filter(id => !this.holds.has(id) && !laid.has(id));
  }

  async #remove(layers: readonly string[]): Promise<number> {
    const links: SeenLinks = new Map();
    let freed = 0;
    for (const id of this.#goneOf(layers)) freed += await treeSize(this.#layer(id), 'freed', links);
    // An import that began meanwhile may have found one of them, a run may have been kept on one.
    const gone = this.#goneOf(layers);
    const now = gone.filter(id => !this.#pins.has(id));
    for (const id of gone) if (!now.includes(id)) this.#doomed.add(id);
    this.#delete(now);
    return freed;
  }

  #delete(layers: readonly string[]): void {
    this.#onRemove(new Set(layers));
    this.shared.forget(new Set(layers));
    for (const id of layers) {
      this.#chains.forget(id);
      this.#topsOf.delete(id);
      this.#states.forget(id);
      this.#unsynced.delete(id);
      fs.rmSync(path.join(this.#options.meta, `${id}.json`), { force: true });
      this.#dropLater(this.#layer(id));
    }
  }

  #unpin(id: string): void {
    const rest = (this.#pins.get(id) ?? 1) - 1;
    if (rest > 0) this.#pins.set(id, rest);
    else this.#pins.delete(id);
    if (rest > 0 || !this.#doomed.delete(id)) return;
    if (!this.#states.newlyLaidUnder([...this.#doomed]).has(id)) this.#delete([id]);
  }

  /** Merging happens behind, unless the chain has come near to what a mount can take. */
  async keepShort(image: ImageData): Promise<void> {
    const length = this.resolve(image).layers.length;
    if (length <= longChain) return;
    this.#flattening = this.#flattening
      .then(() => this.#flatten(image))
      .catch((error: Error) => this.#options.log(`a chain of ${length} layers was not merged: ${error.message}`));
    if (length > tooLongChain) await this.#flattening;
  }

  /** The older part becomes one layer; the newest stay, so that siblings share what is merged. */
  async #flatten(image: ImageData): Promise<void> {
    const resolved = this.resolve(image).layers;
    if (resolved.length <= longChain) return;
    const chain = image.layers.slice(keptLayers);
    const base = image.host ? 0 : 1;
    const merged: ImageData = { layers: chain, laid: [], host: image.host };
    const release = this.pin({ uuid: '', data: merged });
    const id = this.#newId();
    const folder = this.#staged(id);
    const scratch = fs.mkdtempSync(path.join(this.#options.scratch, 'f'));
    try {
      for (const name of ['layer', 'work']) fs.mkdirSync(path.join(folder, name), { recursive: true });
      await flatten({
        sources: this.resolve(merged)
          .layers.slice(0, -base || undefined)
          .map(layer => this.#layer(layer)),
        base: this.plan({ ...merged, layers: base === 0 ? [] : chain.slice(-base) }),
        merged: this.plan(merged),
        target: path.join(folder, 'layer'),
        work: path.join(folder, 'work'),
        scratch,
        overlays: this.#options.overlays,
      });
      await this.#sync();
      fs.renameSync(path.join(folder, 'layer'), this.#layer(id));
      this.#chains.add({ id, chain, base }, path.join(folder, 'chain.json'));
    } finally {
      release();
      fs.rmdirSync(scratch);
      this.#dropLater(folder);
    }
  }

  #mustExist(id: string): void {
    if (this.#topsOf.has(id) || fs.existsSync(this.#layer(id))) return;
    throw new CoppiceError('image_not_found', `layer ${id} of the image is gone from the native store`, {
      fix: 'Import or build the image again.',
    });
  }

  #tops(id: string): ReadonlySet<string> {
    let tops = this.#topsOf.get(id);
    if (tops === undefined) {
      const entries = fs.readdirSync(this.#layer(id), { withFileTypes: true });
      tops = new Set(entries.filter(entry => entry.isDirectory()).map(entry => entry.name));
      this.#topsOf.set(id, tops);
    }
    return tops;
  }

  #layer(id: string): string {
    return path.join(this.#options.layers, id);
  }

  #newId(): string {
    for (;;) {
      const id = `l${crypto.randomBytes(8).readBigUInt64BE().toString(36).padStart(13, '0').slice(-7)}`;
      if (!fs.existsSync(this.#layer(id))) return id;
    }
  }

  /** A layer that is what its name says, made where it is not there. */
  #ensure(id: string, make: (folder: string) => void): string {
    if (fs.existsSync(this.#layer(id))) return id;
    const half = fs.mkdtempSync(this.#staged('made-'));
    fs.chmodSync(half, 0o755);
    make(half);
    fs.renameSync(half, this.#layer(id));
    return id;
  }

  #staged(name: string): string {
    return path.join(this.#options.staging, name);
  }

  /** Out of the way at once, deleted behind. */
  #dropLater(place: string): void {
    const trash = this.#staged(`gone-${crypto.randomUUID()}`);
    try {
      fs.renameSync(place, trash);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return;
    }
    this.#deleting = this.#deleting
      .then(() => promisify(execFile)('rm', ['-rf', '--', trash]))
      .then(() => undefined)
      .catch((error: Error) => this.#options.log(`${trash} was not deleted: ${error.message}`));
  }

  #writeMeta(id: string, made: MadeBy): void {
    const fingerprint = made.host ? this.#machine.fingerprint : null;
    const meta: LayerMeta = { ...made, fingerprint, created: new Date().toISOString() };
    const half = this.#staged(`${id}.json`);
    fs.writeFileSync(half, `${JSON.stringify(meta)}\n`);
    fs.renameSync(half, path.join(this.#options.meta, `${id}.json`));
    this.#states.learn(id, made);
  }

  #learnLayers(): void {
    for (const name of fs.readdirSync(this.#options.meta).filter(name => /^[a-z0-9]{8}\.json$/.test(name))) {
      const id = name.slice(0, 8);
      const { shared, ...made } = this.#readMeta(id) ?? {};
      this.#states.learn(id, made);
      if (shared !== undefined && this.has(id)) this.shared.learn({ ...shared, id });
    }
  }

  /** A power cut may leave one empty: what it said is lost, the layer is not. */
  #readMeta(id: string): Partial<LayerMeta> | undefined {
    const text = fs.readFileSync(path.join(this.#options.meta, `${id}.json`), 'utf8');
    try {
      return JSON.parse(text) as Partial<LayerMeta>;
    } catch {
      this.#options.log(`what was known of layer ${id} cannot be read`);
      return undefined;
    }
  }

  /** The overlay was mounted `volatile`: nothing it wrote was forced to disk yet. Once for all commits of a moment. */
  #syncLater(): void {
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      this.#syncShared().catch((error: Error) => this.#options.log(`sync of the layers failed: ${error.message}`));
    }, syncDelayMs);
  }

  async #syncShared(): Promise<void> {
    const unsynced = this.#unsynced;
    this.#unsynced = new Map();
    await this.#sync();
    for (const [id, made] of unsynced) if (this.has(id)) this.#writeMeta(id, made);
  }

  async #sync(): Promise<void> {
    await promisify(execFile)('sync', ['-f', this.#options.layers]);
  }
}

function unshared(a: ImageData, b: ImageData): readonly string[] {
  const [one, other] = [[...a.layers], [...b.layers]];
  while (one.length > 0 && a.host === b.host && one.at(-1) === other.at(-1)) {
    one.pop();
    other.pop();
  }
  return [...new Set([...one, ...other])];
}

/** A folder that was made for the run to mount over, and still is as it was made. */
function removeIfBare(folder: string): void {
  const stats = fs.lstatSync(folder, { throwIfNoEntry: false });
  if (stats === undefined || (stats.mode & 0o7777) !== 0o755 || stats.uid !== 0 || stats.gid !== 0) return;
  if (fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
}

import type { Readable } from 'node:stream';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { ImportedImage } from '../../../runtime.ts';
import { completeLayer } from './completeLayer.ts';
import type { ImageData } from './imageData.ts';
import type { HalfLayer, LayerStore } from './layerStore.ts';
import type { Overlays } from './mountPlan.ts';
import { rootfsConfig } from './rootfsConfig.ts';
import { chainDigest, type SharedLayer } from './sharedLayers.ts';
import { treeSize } from './treeSize.ts';
import type { Unpacked } from './unpack.ts';
import type { TreeCounts } from './unpackedTree.ts';
import type { Unpackers } from './unpackers.ts';

export interface ReceiveOptions {
  readonly signal: AbortSignal;
  readonly progress: (message: string, done?: number, total?: number) => void;
  /** Bytes to come, where they are known. */
  readonly total: number | undefined;
}

interface PendingLayer {
  readonly half: HalfLayer;
  readonly unpacked: Unpacked;
}

/** Mount options must fit in a page. Docker makes 127 at most. */
const mostLayers = 150;

/** Root file systems and images from outside, on their way into the layer store. */
export class Imports {
  readonly #store: LayerStore;
  readonly #unpackers: Unpackers;
  readonly #overlays: Overlays;
  readonly #scratch: string;
  /** Layers that look different on what lies below them, until that is there. By image and place in it. */
  readonly #pending = new Map<string, Map<number, PendingLayer>>();
  /** Kept, but no image is made of them yet. */
  readonly #unclaimed = new Set<string>();

  constructor(parts: {
    readonly store: LayerStore;
    readonly unpackers: Unpackers;
    readonly overlays: Overlays;
    /** A folder for short-lived mount points. */
    readonly scratch: string;
  }) {
    this.#store = parts.store;
    this.#unpackers = parts.unpackers;
    this.#overlays = parts.overlays;
    this.#scratch = parts.scratch;
  }

  /** Takes a root file system as a tar, also compressed. Nothing of it is visible before it is whole. */
  async importRootfs(uuid: string, source: Readable, options: ReceiveOptions): Promise<ImportedImage> {
    const half = this.#store.begin();
    try {
      const unpacked = await this.#unpackers.unpack(source, half.folder, {
        signal: options.signal,
        progress: done => options.progress('unpacking', done, options.total),
      });
      const size = await treeSize(half.folder, 'whole');
      const config = rootfsConfig(half.folder);
      options.signal.throwIfAborted();
      half.keep({ image: uuid, parent: null, laid: [], host: false });
      const data: ImageData = { layers: [half.id], laid: [], host: false };
      return { data, config, size, digest: unpacked.digest, notes: notesOf([unpacked.counts]) };
    } catch (error) {
      half.drop();
      throw error;
    }
  }

  /** Which of an image's layers, lowest first, are here. They stay for this import. */
  claim(uuid: string, diffIds: readonly string[]): readonly boolean[] {
    if (diffIds.length > mostLayers)
      throw new CoppiceError(
        'unsupported',
        `the image has ${diffIds.length} layers; at most ${mostLayers} can be used`,
      );
    return diffIds.map((_, index) => this.#claimed(uuid, diffIds.slice(0, index + 1)) !== undefined);
  }

  /** `diffIds`: of the layer and those below it. */
  async importLayer(
    uuid: string,
    diffIds: readonly string[],
    source: Readable,
    options: ReceiveOptions,
  ): Promise<void> {
    const diffId = diffIds.at(-1)!;
    const half = this.#store.begin();
    try {
      const unpacked = await this.#unpackers.unpack(source, half.folder, {
        signal: options.signal,
        progress: done => options.progress('unpacking', done, options.total),
        layer: { diffId },
      });
      options.signal.throwIfAborted();
      if (standsAlone(unpacked)) this.#keep(uuid, { half, unpacked }, diffId);
      else {
        const pending = this.#pending.get(uuid) ?? new Map();
        this.#pending.set(uuid, pending.set(diffIds.length - 1, { half, unpacked }));
      }
    } catch (error) {
      half.drop();
      throw error;
    }
  }

  /** All layers are here: they become an image. */
  async finish(
    uuid: string,
    diffIds: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly data: ImageData; readonly size: number; readonly notes: readonly string[] }> {
    const layers: SharedLayer[] = [];
    for (const [index] of diffIds.entries()) {
      const chain = diffIds.slice(0, index + 1);
      const layer = this.#claimed(uuid, chain) ?? (await this.#complete(uuid, chain, layers, signal));
      if (layer.opaqueRoot) layers.length = 0;
      // Whatever the same layer did further down, it does again here.
      const before = layers.findIndex(({ id }) => id === layer.id);
      if (before >= 0) layers.splice(before, 1);
      layers.push(layer);
    }
    signal.throwIfAborted();
    const data: ImageData = { layers: layers.map(({ id }) => id).reverse(), laid: [], host: false };
    await this.#store.keepShort(data);
    for (const { id } of layers) this.#unclaimed.delete(id);
    this.#pending.delete(uuid);
    return {
      data,
      size: layers.reduce((sum, { counts }) => sum + counts.bytes, 0),
      notes: notesOf(layers.map(({ counts }) => counts)),
    };
  }

  /** The import failed: what it brought goes, unless another one goes on with it. */
  abandon(uuid: string): void {
    for (const { half } of this.#pending.get(uuid)?.values() ?? []) half.drop();
    this.#pending.delete(uuid);
    this.#store.holds.release(uuid);
    const gone = [...this.#unclaimed].filter(id => !this.#store.holds.has(id));
    for (const id of gone) this.#unclaimed.delete(id);
    this.#store.drop(gone);
  }

  #claimed(uuid: string, diffIds: readonly string[]): SharedLayer | undefined {
    const layer = this.#store.shared.find(diffIds);
    if (layer !== undefined) this.#store.holds.hold(uuid, layer.id);
    return layer;
  }

  #keep(uuid: string, { half, unpacked }: PendingLayer, digest: string): SharedLayer {
    const shared = { digest, opaqueRoot: unpacked.opaqueRoot, counts: unpacked.counts };
    half.keep({ image: uuid, parent: null, laid: [], host: false, shared });
    this.#store.holds.hold(uuid, half.id);
    this.#unclaimed.add(half.id);
    return { ...shared, id: half.id };
  }

  async #complete(
    uuid: string,
    diffIds: readonly string[],
    below: readonly SharedLayer[],
    signal: AbortSignal,
  ): Promise<SharedLayer> {
    const pending = this.#pending.get(uuid)?.get(diffIds.length - 1);
    if (pending === undefined)
      throw new CoppiceError('internal', `layer ${diffIds.at(-1)} of image ${uuid} was not unpacked`);
    await completeLayer(pending.half.folder, pending.unpacked, {
      below: below.map(({ id }) => this.#store.folderOf(id)).reverse(),
      overlays: this.#overlays,
      scratch: this.#scratch,
      signal,
    });
    this.#pending.get(uuid)?.delete(diffIds.length - 1);
    return this.#keep(uuid, pending, chainDigest(diffIds));
  }
}

function standsAlone(unpacked: Unpacked): boolean {
  return unpacked.implied.length === 0 && unpacked.missingLinks.length === 0;
}

/** What an image was not given as it says: a sentence each. */
function notesOf(counts: readonly TreeCounts[]): readonly string[] {
  const sum = (which: keyof TreeCounts) => counts.reduce((sum, each) => sum + each[which], 0);
  const said: readonly [number, string][] = [
    [sum('skipped'), 'devices or sockets were left out: a sandbox could not use them.'],
    [sum('unmapped'), 'files belong to root now: their owners do not exist here.'],
    [sum('unset'), 'extended attributes could not be kept.'],
  ];
  return said.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
}

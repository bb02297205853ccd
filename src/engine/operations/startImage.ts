import { CoppiceError } from '../../protocol/errors.ts';
import type { BranchStore } from '../branches/branchStore.ts';
import type { ImageRecord, ImageStore } from '../images/imageStore.ts';
import type { Runtimes } from '../runtimes.ts';

export interface StartImage {
  readonly image: ImageRecord;
  /** The branch that a kept, successful run moves: it was named, or it is the workspace's head. */
  readonly branch: string | undefined;
}

/** Decides what a run starts from: what was asked for, else the workspace's head, else the default, else `host:`. */
export class StartImages {
  readonly #images: ImageStore;
  readonly #branches: BranchStore;
  readonly #runtimes: Runtimes;
  readonly #importHost: (signal: AbortSignal) => Promise<ImageRecord>;
  readonly #found: (image: ImageRecord) => void;
  readonly #defaultImage: string | undefined;

  constructor(parts: {
    readonly images: ImageStore;
    readonly branches: BranchStore;
    readonly runtimes: Runtimes;
    readonly importHost: (signal: AbortSignal) => Promise<ImageRecord>;
    /** Told of every image that something is about to start from. */
    readonly found?: (image: ImageRecord) => void;
    readonly defaultImage: string | undefined;
  }) {
    this.#images = parts.images;
    this.#branches = parts.branches;
    this.#runtimes = parts.runtimes;
    this.#importHost = parts.importHost;
    this.#found = parts.found ?? (() => {});
    this.#defaultImage = parts.defaultImage;
  }

  async find(reference: string | undefined, workspace: string | undefined, signal: AbortSignal): Promise<StartImage> {
    const start = await this.#find(reference, workspace, signal);
    this.#found(start.image);
    return start;
  }

  async #find(reference: string | undefined, workspace: string | undefined, signal: AbortSignal): Promise<StartImage> {
    if (reference === undefined) {
      const branch = workspace === undefined ? undefined : this.#branches.checkedOut(workspace);
      if (branch !== undefined) return { image: this.#images.resolve(`branch:${branch}`), branch };
    }
    const text = reference ?? this.#defaultImage ?? 'host:';
    if (text === 'host:') return { image: await this.#host(reference === undefined, signal), branch: undefined };
    return {
      image: this.#images.resolve(text),
      branch: text.startsWith('branch:') ? text.slice('branch:'.length) : undefined,
    };
  }

  async #host(byDefault: boolean, signal: AbortSignal): Promise<ImageRecord> {
    const native = !byDefault || (await this.#runtimes.preferred()).name === 'native';
    signal.throwIfAborted();
    if (native) return this.#importHost(signal);
    const some = this.#images.list({}, 5, 0).images.map(image => image.tag ?? image.uuid);
    throw new CoppiceError('invalid_input', 'no image was named, and the docker runtime has no default', {
      field: 'image',
      fix:
        some.length > 0
          ? `Name one: ${some.join(', ')}.`
          : 'Import one first: coppice import docker://python:3.11-slim.',
    });
  }
}

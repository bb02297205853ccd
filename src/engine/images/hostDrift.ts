import type { Runtime } from '../../runtimes/runtime.ts';
import type { ImageOrigin, ImageRecord, ImageStore } from './imageStore.ts';

const FRESH_MS = 1_000;

/** Knows whether the machine still is what a `host:` image was made from (decision 14). */
export class HostDrift {
  readonly #native: Runtime;
  readonly #images: ImageStore;
  /** Image → the root it came from; neither ever changes. */
  readonly #roots = new Map<string, ImageOrigin>();
  #identity: string | undefined;
  #lookedAt = 0;

  constructor(native: Runtime, images: ImageStore) {
    this.#native = native;
    this.#images = images;
    images.tellDriftBy(image => this.drifted(image));
  }

  /** Looks at the machine again, unless that was done a moment ago. */
  async refresh(): Promise<void> {
    if (process.platform !== 'linux' || Date.now() - this.#lookedAt < FRESH_MS) return;
    this.#lookedAt = Date.now();
    this.#identity = await this.#native.identify({ kind: 'host' });
  }

  /** Whoever runs from it will want to know; the look takes milliseconds, so it comes behind. */
  lookBehind(image: ImageRecord, failed: (error: unknown) => void): void {
    if (this.#rootOf(image).source === 'host:') setImmediate(() => this.refresh().catch(failed));
  }

  /** The newest `host:` image that still is this machine, as far as is known without looking again. */
  current(): ImageRecord | undefined {
    if (this.#identity === undefined) return undefined;
    return this.#images.byDigest('native', this.#identity).find(image => image.source === 'host:');
  }

  drifted(image: ImageRecord): boolean {
    if (this.#identity === undefined || image.runtime !== 'native') return false;
    const root = this.#rootOf(image);
    return root.source === 'host:' && root.digest !== this.#identity;
  }

  /** Each image is walked through once, however long its lineage and however often it is listed. */
  #rootOf(image: ImageRecord): ImageOrigin {
    const walked: string[] = [];
    let root: ImageOrigin = image;
    for (let uuid: string | null = image.uuid; uuid !== null; uuid = root.parent) {
      const known = this.#roots.get(uuid);
      const origin: ImageOrigin | undefined = known ?? this.#images.origin(uuid);
      if (!origin) break;
      walked.push(uuid);
      root = origin;
      if (known) break;
    }
    for (const uuid of walked) this.#roots.set(uuid, root);
    return root;
  }
}

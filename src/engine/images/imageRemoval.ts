import type { BranchStore } from '../branches/branchStore.ts';
import type { Runtimes } from '../runtimes.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from './imageStore.ts';

/** Why an image stays unless it is forced to go. */
export interface Hold {
  /** Continues the sentence "image … ". */
  readonly reason: string;
  /** An imperative sentence. */
  readonly cure: string;
}

/** An image as its runtime knows it. */
export type HeldImage = Pick<ImageRecord, 'uuid' | 'data' | 'runtime'>;

/** Image → the operation or sandbox that runs from it. */
export type InUse = () => ReadonlyMap<string, string>;

/** Knows what holds an image, and takes images away: first from the records, then from the disk. */
export class ImageRemoval {
  readonly images: ImageStore;
  readonly branches: BranchStore;
  readonly inUse: InUse;
  readonly #runtimes: Runtimes;
  /** Forced to go while something ran from them: their files are freed later, at the latest when an engine starts. */
  #leftBehind: ImageRecord[] = [];

  constructor(images: ImageStore, branches: BranchStore, runtimes: Runtimes, inUse: InUse) {
    this.images = images;
    this.branches = branches;
    this.#runtimes = runtimes;
    this.inUse = inUse;
  }

  holds(image: ImageRecord): Hold[] {
    const holds: Hold[] = [];
    const user = this.inUse().get(image.uuid);
    if (user !== undefined)
      holds.push({
        reason: `is in use by ${user}`,
        cure: user.startsWith('op-')
          ? `Wait for it or cancel it: coppice cancel ${user}.`
          : `Stop it: coppice stop ${user}.`,
      });
    if (image.tag !== null)
      holds.push({
        reason: `has the tag ${image.tag}`,
        cure: `Take the tag away: coppice tag ${image.uuid} --remove, or force the removal.`,
      });
    const branch = this.branches.heldImages().get(image.uuid);
    if (branch !== undefined)
      holds.push({
        reason: `is in the history of branch ${branch}`,
        cure: `Remove the branch first: coppice branch ${branch} --remove, or force the removal.`,
      });
    const children = this.images.children(image.uuid);
    if (children.length > 0)
      holds.push({
        reason: `is the parent of ${named(children)}`,
        cure: 'Remove those first, or force the removal: what they need of its files stays.',
      });
    return holds;
  }

  /** All are gone from the records before the first file goes, so that nothing starts from what is half there. */
  async remove(gone: readonly ImageRecord[]): Promise<number> {
    for (const image of gone) this.images.remove(image.uuid);
    const inUse = this.inUse();
    const pending = [...this.#leftBehind, ...gone];
    this.#leftBehind = pending.filter(image => inUse.has(image.uuid));
    return this.discard(pending.filter(image => !inUse.has(image.uuid)));
  }

  /** Takes what no record names off the disk, but for what other images share with it; answers the bytes freed. */
  async discard(gone: readonly HeldImage[]): Promise<number> {
    if (gone.length === 0) return 0;
    const others = [...this.images.living(), ...this.#leftBehind];
    let freed = 0;
    for (const image of gone) {
      const runtime = this.#runtimes.of(image);
      const staying = others.filter(other => other.runtime === image.runtime).map(toRuntimeImage);
      freed += await runtime.removeImage(toRuntimeImage(image), staying);
    }
    return freed;
  }
}

function named(images: readonly ImageRecord[]): string {
  const [first, ...more] = images;
  const name = first!.tag ?? first!.uuid;
  return more.length === 0 ? `image ${name}` : `image ${name} and ${more.length} more`;
}

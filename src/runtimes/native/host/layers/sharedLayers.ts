import * as crypto from 'node:crypto';
import type { TreeCounts } from './unpackedTree.ts';

/** What a layer is known by, whatever image it comes with. */
export interface SharedAs {
  /** Of its tar; of one that looks different on other layers: of its tar and all below. */
  readonly digest: string;
  /** Nothing below it is seen. */
  readonly opaqueRoot: boolean;
  readonly counts: TreeCounts;
}

export interface SharedLayer extends SharedAs {
  readonly id: string;
}

/** Layers that came with images from outside, by digest: none is unpacked twice. */
export class SharedLayers {
  readonly #byDigest = new Map<string, SharedLayer>();

  /** The topmost of these, lowest first. */
  find(diffIds: readonly string[]): SharedLayer | undefined {
    return this.#byDigest.get(diffIds.at(-1)!) ?? this.#byDigest.get(chainDigest(diffIds));
  }

  learn(layer: SharedLayer): void {
    this.#byDigest.set(layer.digest, layer);
  }

  forget(ids: ReadonlySet<string>): void {
    for (const [digest, { id }] of this.#byDigest) if (ids.has(id)) this.#byDigest.delete(digest);
  }
}

/** As the OCI image specification has it, in a space of its own. */
export function chainDigest(diffIds: readonly string[]): string {
  const digest = diffIds.reduce(
    (below, diffId) => `sha256:${crypto.createHash('sha256').update(`${below} ${diffId}`).digest('hex')}`,
  );
  return `chain:${digest}`;
}

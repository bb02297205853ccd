import type { Readable } from 'node:stream';
import type { ImageConfig } from '../protocol/schemas/images.ts';

/**
 * An image as it comes from outside, whatever it comes from: a registry, an OCI layout, an archive of Docker's. Only what
 * it is and how to get at its layers; a runtime asks for those that it has not.
 */
export interface OciImage {
  /** Of the manifest, as `sha256:…`: what it is known by where it comes from. */
  readonly digest: string;
  readonly config: ImageConfig;
  /** Lowest first. */
  readonly layers: readonly OciLayer[];
}

export interface OciLayer {
  /** Of the blob as it travels, as `sha256:…`. */
  readonly digest: string;
  /** Of the plain tar: two blobs that differ in how they are packed are the same layer. */
  readonly diffId: string;
  /** Bytes of the blob. */
  readonly size: number;
  /**
   * The blob, every byte of it verified against its digest before the first one is handed out. Packed as it came: gzip,
   * zstd or plain, told by its first bytes. Ask for all that are wanted at once: they download side by side, as many as is
   * good. That the tar inside is `diffId` is for who unpacks it to verify: nobody else reads it.
   */
  open(signal: AbortSignal): Promise<Readable>;
}

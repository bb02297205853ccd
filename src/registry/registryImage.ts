import { createReadStream, openSync } from 'node:fs';
import type { BlobStore, HeldBlob } from './blobStore.ts';
import { isDigest } from './digest.ts';
import type { BlobOrigin } from './download.ts';
import { LARGEST_CONFIG, readImageConfig } from './imageConfig.ts';
import { type Manifest, notAnImage } from './manifest.ts';
import type { ManifestCache } from './manifestCache.ts';
import type { OciImage } from './ociImage.ts';
import type { ByteProgress, OpenedImage } from './openedImage.ts';
import type { Platform } from './platform.ts';
import { shortName, tagOrDigest } from './reference.ts';
import { checkPlatform, type ResolvedManifest, resolveManifest } from './resolve.ts';
import type { RegistrySession } from './session.ts';

const PROGRESS_MS = 100;

/** Finds the one manifest that a reference means on a platform now; asks for no more than it must. */
export async function openRegistryImage(
  session: RegistrySession,
  platform: Platform,
  stores: { readonly blobs: BlobStore; readonly manifests: ManifestCache },
  signal: AbortSignal,
): Promise<OpenedImage> {
  const { reference } = session;
  const name = shortName(reference);
  const read = (digest: string) => readByDigest(session, stores.manifests, digest, signal);
  const head = reference.digest ?? (await session.headDigest(signal));
  const known = head !== undefined && isDigest(head) ? stores.manifests.get(head) : undefined;
  const first =
    known === undefined ? await session.manifest(tagOrDigest(reference), signal) : { digest: head!, bytes: known };
  if (known === undefined) stores.manifests.put(first.digest, first.bytes);
  const resolved = await resolveManifest(first.bytes, first.digest, platform, name, read);
  return new RegistryImage(session, resolved, platform, stores.blobs);
}

async function readByDigest(
  session: RegistrySession,
  cache: ManifestCache,
  digest: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const known = cache.get(digest);
  if (known) return known;
  const { bytes } = await session.manifest(digest, signal);
  cache.put(digest, bytes);
  return bytes;
}

class RegistryImage implements OpenedImage {
  readonly digest: string;
  readonly name: string;
  readonly #session: RegistrySession;
  readonly #manifest: Manifest;
  readonly #platform: Platform;
  readonly #blobs: BlobStore;
  readonly #held = new Map<string, HeldBlob>();

  constructor(session: RegistrySession, resolved: ResolvedManifest, platform: Platform, blobs: BlobStore) {
    this.digest = resolved.digest;
    this.name = shortName(session.reference);
    this.#session = session;
    this.#manifest = resolved.manifest;
    this.#platform = platform;
    this.#blobs = blobs;
  }

  async image(signal: AbortSignal, progress: ByteProgress): Promise<OciImage> {
    const { config, layers } = this.#manifest;
    if (config.size > LARGEST_CONFIG) throw notAnImage(`the configuration of ${this.name} is too large`);
    const described = readImageConfig(
      await this.#session.blob(config.digest, config.size, signal),
      layers.length,
      this.name,
    );
    checkPlatform(described, this.#platform, this.name);
    const wanted = new Map<string, { readonly size: number; readonly held: HeldBlob }>();
    return {
      digest: this.digest,
      config: described.config,
      layers: layers.map((layer, index) => ({
        digest: layer.digest,
        size: layer.size,
        diffId: described.diffIds[index]!,
        open: async aborted => {
          const held = this.#hold(layer.digest, layer.size);
          wanted.set(layer.digest, { size: layer.size, held });
          using _reporting = reportBytes(wanted, progress);
          await held.bring(this.#origin(layer.digest), aborted);
          // Opened now: whatever becomes of its name, whoever reads it reads this.
          return createReadStream('', { fd: openSync(held.file, 'r'), highWaterMark: 1 << 20 });
        },
      })),
    };
  }

  #hold(digest: string, size: number): HeldBlob {
    const known = this.#held.get(digest);
    if (known) return known;
    const held = this.#blobs.hold(digest, size);
    this.#held.set(digest, held);
    return held;
  }

  #origin(digest: string): BlobOrigin {
    return {
      name: this.#session.host,
      open: (offset, signal) => this.#session.openBlob(digest, offset, signal),
    };
  }

  close(imported: boolean): void {
    this.#session.close();
    for (const held of this.#held.values()) held.release(!imported);
    this.#held.clear();
  }
}

/** Says a few times a second how much of what is wanted is here. */
function reportBytes(
  wanted: ReadonlyMap<string, { readonly size: number; readonly held: HeldBlob }>,
  progress: ByteProgress,
): Disposable {
  const report = () => {
    let done = 0;
    let total = 0;
    for (const { size, held } of wanted.values()) {
      done += held.arrived();
      total += size;
    }
    progress(done, total);
  };
  const timer = setInterval(report, PROGRESS_MS);
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      report();
    },
  };
}

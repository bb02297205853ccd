import type { ArchiveScheme } from '../protocol/imageSource.ts';
import { openArchiveImage } from './archiveImage.ts';
import { BlobStore } from './blobStore.ts';
import type { CredentialSource } from './credentials.ts';
import { ExpandedArchives } from './expandedArchive.ts';
import { ManifestCache } from './manifestCache.ts';
import type { OpenedImage } from './openedImage.ts';
import { ownPlatform, type Platform, parsePlatform } from './platform.ts';
import type { RegistryReference } from './reference.ts';
import { openRegistryImage } from './registryImage.ts';
import { RegistrySession } from './session.ts';
import { Trust } from './trust.ts';

export type OutsideSource =
  | { readonly kind: 'registry'; readonly reference: RegistryReference }
  | { readonly kind: 'archive'; readonly scheme: ArchiveScheme; readonly place: string };

/** Images that are not here yet, wherever they are: found by reference, brought when they are wanted. */
export class OutsideImages {
  readonly #surroundings: { readonly env: NodeJS.ProcessEnv; readonly trust: Trust };
  readonly #credentials: CredentialSource;
  readonly #blobs: BlobStore;
  readonly #manifests: ManifestCache;
  readonly #expanded: ExpandedArchives;

  constructor(home: string, credentials: CredentialSource, env: NodeJS.ProcessEnv) {
    this.#surroundings = { env, trust: new Trust(env) };
    this.#credentials = credentials;
    this.#blobs = new BlobStore(home);
    this.#manifests = new ManifestCache(home);
    this.#expanded = new ExpandedArchives(home);
  }

  /** What the reference means now on a platform. `patient`: a registry that has trouble is asked again. */
  async open(
    source: OutsideSource,
    options: { readonly platform: string | undefined; readonly patient: boolean; readonly signal: AbortSignal },
  ): Promise<OpenedImage> {
    const platform: Platform = options.platform === undefined ? ownPlatform() : parsePlatform(options.platform);
    if (source.kind === 'archive')
      return openArchiveImage(source.scheme, source.place, platform, this.#expanded, options.signal);
    const session = new RegistrySession(source.reference, this.#credentials, this.#surroundings, options);
    try {
      const stores = { blobs: this.#blobs, manifests: this.#manifests };
      return await openRegistryImage(session, platform, stores, options.signal);
    } catch (error) {
      session.close();
      throw error;
    }
  }
}

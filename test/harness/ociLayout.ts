import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

export type Packing = 'gzip' | 'zstd' | 'plain';

export interface LayerToWrite {
  /** The plain tar. */
  readonly tar: Buffer;
  /** Default gzip. */
  readonly packing?: Packing;
}

export interface ImageToWrite {
  /** Lowest first. */
  readonly layers: readonly LayerToWrite[];
  /** The image config's own `config`: `Env`, `WorkingDir`, `User`, `Entrypoint`, `Cmd`, `Labels`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly architecture?: string;
  readonly variant?: string;
  readonly os?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

const TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};

/**
 * An OCI layout written by hand, for what no tool would write: any packing, any platform, any tar as a layer.
 *
 *     const layout = new OciLayout(folder.join('layout'));
 *     layout.add('latest', { layers: [{ tar: tarOf(rootfs), packing: 'zstd' }] });
 *     await registry.push(layout.folder, 'latest', 'team/app:1');
 */
export class OciLayout {
  readonly folder: string;
  readonly #named: Descriptor[] = [];

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(path.join(folder, 'blobs', 'sha256'), { recursive: true });
    writeFileSync(path.join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    this.#writeIndex();
  }

  add(name: string, image: ImageToWrite): Descriptor {
    return this.#name(name, this.addManifest(image));
  }

  /** One name for an image of several platforms. */
  addIndex(name: string, images: readonly ImageToWrite[]): Descriptor {
    const manifests = images.map(image => ({
      ...this.addManifest(image),
      platform: {
        os: image.os ?? 'linux',
        architecture: image.architecture ?? 'amd64',
        ...(image.variant === undefined ? {} : { variant: image.variant }),
      },
    }));
    return this.#name(name, this.addJson(TYPES.index, { schemaVersion: 2, mediaType: TYPES.index, manifests }));
  }

  /** Without a name. */
  addManifest(image: ImageToWrite): Descriptor {
    const config = this.addJson(TYPES.config, {
      architecture: image.architecture ?? 'amd64',
      ...(image.variant === undefined ? {} : { variant: image.variant }),
      os: image.os ?? 'linux',
      created: '2024-01-01T00:00:00Z',
      config: image.config ?? {},
      rootfs: { type: 'layers', diff_ids: image.layers.map(layer => digestOf(layer.tar)) },
    });
    const layers = image.layers.map(layer => this.#addLayer(layer));
    return this.addJson(TYPES.manifest, { schemaVersion: 2, mediaType: TYPES.manifest, config, layers });
  }

  addJson(mediaType: string, value: unknown): Descriptor {
    return this.addBlob(mediaType, Buffer.from(JSON.stringify(value)));
  }

  addBlob(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes);
    const file = this.blobFile(digest);
    if (!existsSync(file)) writeFileSync(file, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  blobFile(digest: string): string {
    return path.join(this.folder, 'blobs', ...digest.split(':'));
  }

  readJson(digest: string): unknown {
    return JSON.parse(readFileSync(this.blobFile(digest), 'utf8'));
  }

  #addLayer({ tar, packing = 'gzip' }: LayerToWrite): Descriptor {
    const suffix = packing === 'plain' ? '' : `+${packing}`;
    return this.addBlob(TYPES.layer + suffix, pack(tar, packing));
  }

  #name(name: string, descriptor: Descriptor): Descriptor {
    this.#named.push({ ...descriptor, annotations: { 'org.opencontainers.image.ref.name': name } });
    this.#writeIndex();
    return descriptor;
  }

  #writeIndex(): void {
    const index = { schemaVersion: 2, mediaType: TYPES.index, manifests: this.#named };
    writeFileSync(path.join(this.folder, 'index.json'), JSON.stringify(index));
  }
}

export const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function pack(tar: Buffer, packing: Packing): Buffer {
  if (packing === 'plain') return tar;
  return packing === 'gzip' ? gzipSync(tar, { level: 1 }) : zstdCompressSync(tar);
}

/** A folder as a layer; everything belongs to root. */
export function tarOf(folder: string): Buffer {
  return execFileSync(
    'tar',
    ['-C', folder, '--owner=0', '--group=0', '--numeric-owner', '--sort=name', '-cf', '-', '.'],
    {
      maxBuffer: 1 << 30,
    },
  );
}

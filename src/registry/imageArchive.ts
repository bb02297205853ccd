import type { Readable } from 'node:stream';
import type { ImageConfig } from '../protocol/schemas/images.ts';
import type { ArchiveFile } from './archiveFile.ts';
import { digestOf } from './digest.ts';

/** An image to be written for other tools. */
export interface ImageToArchive {
  readonly config: ImageConfig;
  readonly created: Date;
  /** What it is called in the archive. */
  readonly name: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** Lowest first. */
  readonly layers: readonly LayerToArchive[];
}

export interface LayerToArchive {
  readonly created: Date;
  /** The command that made it. */
  readonly createdBy: string;
  readonly comment: string;
  /** A plain tar. */
  open(signal: AbortSignal): Promise<Readable>;
}

export type ArchiveFormat = 'oci-archive' | 'docker-archive';

const MEDIA = 'application/vnd.oci.image';

interface WrittenLayer {
  readonly path: string;
  readonly digest: string;
  readonly diffId: string;
  readonly size: number;
}

/**
 * Writes an image archive: an OCI layout, also with the manifest that `docker load` of old reads, its layers packed; or what
 * `docker save` wrote of old, its layers plain. Answers the digest of the image's manifest, or of its configuration.
 */
export async function writeImageArchive(
  archive: ArchiveFile,
  format: ArchiveFormat,
  image: ImageToArchive,
  signal: AbortSignal,
): Promise<string> {
  const layers: WrittenLayer[] = [];
  const gzip = format === 'oci-archive';
  if (gzip) for (const name of ['blobs/', 'blobs/sha256/']) await archive.addFolder(name);
  const nameOf = (hex: string) => (gzip ? `blobs/sha256/${hex}` : `${hex}.tar`);
  for (const layer of image.layers) {
    const blob = await archive.addStream(await layer.open(signal), { gzip, nameOf, signal });
    const path = nameOf(hexOf(blob.digest));
    layers.push({ path, digest: blob.digest, diffId: blob.plainDigest, size: blob.size });
  }
  const config = json(configuration(image, layers));
  return format === 'oci-archive'
    ? finishOci(archive, image, layers, config)
    : finishDocker(archive, image, layers, config);
}

async function finishOci(
  archive: ArchiveFile,
  image: ImageToArchive,
  layers: readonly WrittenLayer[],
  config: Buffer,
): Promise<string> {
  const manifest = json({
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config: { mediaType: `${MEDIA}.config.v1+json`, digest: digestOf(config), size: config.length },
    layers: layers.map(({ digest, size }) => ({ mediaType: `${MEDIA}.layer.v1.tar+gzip`, digest, size })),
    annotations: image.annotations,
  });
  const named = {
    mediaType: `${MEDIA}.manifest.v1+json`,
    digest: digestOf(manifest),
    size: manifest.length,
    annotations: image.name === undefined ? {} : { 'org.opencontainers.image.ref.name': image.name },
    platform: { os: 'linux', architecture: image.config.architecture },
  };
  const configPath = blobPath(config);
  await archive.addBytes(configPath, config);
  await archive.addBytes(blobPath(manifest), manifest);
  await archive.addBytes(
    'index.json',
    json({ schemaVersion: 2, mediaType: `${MEDIA}.index.v1+json`, manifests: [named] }),
  );
  await archive.addBytes('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  await archive.addBytes('manifest.json', dockerManifest(configPath, image, layers));
  return digestOf(manifest);
}

async function finishDocker(
  archive: ArchiveFile,
  image: ImageToArchive,
  layers: readonly WrittenLayer[],
  config: Buffer,
): Promise<string> {
  const configPath = `${hexOf(digestOf(config))}.json`;
  await archive.addBytes(configPath, config);
  await archive.addBytes('manifest.json', dockerManifest(configPath, image, layers));
  return digestOf(config);
}

function dockerManifest(config: string, image: ImageToArchive, layers: readonly WrittenLayer[]): Buffer {
  const tags = image.name === undefined ? null : [image.name.includes(':') ? image.name : `${image.name}:latest`];
  return json([{ Config: config, RepoTags: tags, Layers: layers.map(({ path }) => path) }]);
}

function configuration(image: ImageToArchive, layers: readonly WrittenLayer[]): object {
  const { env, cwd, user, entrypoint, cmd, labels, architecture } = image.config;
  return {
    created: image.created.toISOString(),
    architecture,
    os: 'linux',
    config: {
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...(entrypoint.length > 0 ? { Entrypoint: entrypoint } : {}),
      ...(cmd.length > 0 ? { Cmd: cmd } : {}),
      WorkingDir: cwd,
      User: user === 'root' ? '' : user,
      Labels: labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: image.layers.map(({ created, createdBy, comment }) => ({
      created: created.toISOString(),
      created_by: createdBy,
      comment,
    })),
  };
}

function blobPath(bytes: Buffer): string {
  return `blobs/sha256/${hexOf(digestOf(bytes))}`;
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

import { z } from 'zod';
import { CoppiceError } from '../protocol/errors.ts';
import { isDigest } from './digest.ts';
import { fit, type Platform, platformName } from './platform.ts';

/** What registries themselves take at most. */
export const LARGEST_MANIFEST = 4 * 1_048_576;
/** More than any tool makes; overlayfs itself stops at 500. */
const MOST_LAYERS = 500;

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  ...INDEX_TYPES,
].join(', ');

const digest = z.string().refine(isDigest, 'is not a digest');
const size = z.number().int().min(0);
const descriptor = z.object({
  mediaType: z.string().default(''),
  digest,
  size,
  annotations: z.record(z.string(), z.string()).nullish(),
});
const platform = z.object({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
});
const manifest = z.object({ config: descriptor, layers: z.array(descriptor).max(MOST_LAYERS) });
const index = z.object({ manifests: z.array(descriptor.extend({ platform: platform.nullish() })).max(10_000) });

export type BlobDescriptor = z.infer<typeof descriptor>;
export type Manifest = z.infer<typeof manifest>;
export type IndexEntry = z.infer<typeof index>['manifests'][number];

/** Reads JSON that somebody else wrote; what is wrong with it is said without quoting it. */
export function readDocument<S extends z.ZodType>(schema: S, bytes: Buffer, what: string): z.infer<S> {
  const parsed = schema.safeParse(parse(bytes, what));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw notAnImage(`${what} is not right: ${issue.path.map(String).join('.')} ${issue.message}`);
}

function parse(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    throw notAnImage(`${what} is not JSON`);
  }
}

export function notAnImage(message: string): CoppiceError {
  return new CoppiceError('import_failed', message, { fix: 'Look at it with the tool that made it.' });
}

/** A manifest, or an index of several. */
export function readManifest(bytes: Buffer, name: string): Manifest | { readonly manifests: readonly IndexEntry[] } {
  const head = readDocument(
    z.object({
      schemaVersion: z.number().optional(),
      mediaType: z.string().optional(),
      manifests: z.unknown().optional(),
    }),
    bytes,
    `the manifest of ${name}`,
  );
  if (head.schemaVersion === 1)
    throw new CoppiceError('unsupported', `${name} is kept in Docker’s old format, schema 1`, {
      fix: 'Push it again with a current tool: skopeo copy, or docker pull and docker push.',
    });
  if (head.manifests !== undefined || INDEX_TYPES.includes(head.mediaType ?? ''))
    return readDocument(index, bytes, `the index of ${name}`);
  return readDocument(manifest, bytes, `the manifest of ${name}`);
}

/** The one that runs on the wanted platform, or an error that lists what there is. */
export function choosePlatform(entries: readonly IndexEntry[], wanted: Platform, name: string): IndexEntry {
  // Attestations and the like are of no platform.
  const images = entries.filter(entry => entry.platform?.os !== 'unknown');
  const fitting = images
    .map(entry => ({ entry, how: entry.platform ? fit(wanted, entry.platform) : 0 }))
    .filter(({ how }) => how !== undefined)
    .sort((a, b) => b.how! - a.how!);
  if (fitting[0]) return fitting[0].entry;
  const offered = [...new Set(images.flatMap(entry => (entry.platform ? [platformName(entry.platform)] : [])))];
  throw wrongPlatform(name, wanted, offered);
}

export function wrongPlatform(name: string, wanted: Platform, offered: readonly string[]): CoppiceError {
  return new CoppiceError('wrong_platform', `${name} is not made for ${platformName(wanted)}`, {
    field: 'platform',
    fix:
      offered.length === 0
        ? 'Choose another image.'
        : `There is ${offered.join(', ')}; choose one with platform. Programs of another architecture need emulation to run here.`,
    data: { platforms: offered },
  });
}

const CONFIGS = ['', 'application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json'];
const LAYER = /\.tar(?:[.+](?:gzip|zstd))?$/;

/** What is no image of a file system says so in its types: charts, signatures, models. */
export function checkIsImage({ config, layers }: Manifest, name: string): void {
  const strange = CONFIGS.includes(config.mediaType)
    ? layers.find(layer => layer.mediaType !== '' && !LAYER.test(layer.mediaType))?.mediaType
    : config.mediaType;
  if (strange !== undefined)
    throw new CoppiceError('unsupported', `${name} is no image of a file system but ${strange}`, {
      fix: 'Import an image that a container could run.',
    });
}

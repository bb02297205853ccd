import { closeSync } from 'node:fs';
import { z } from 'zod';
import { CoppiceError } from '../protocol/errors.ts';
import { digestOf } from './digest.ts';
import { packingOf } from './expandedArchive.ts';
import { LARGEST_CONFIG, readImageConfig } from './imageConfig.ts';
import { digestOfStretch, headOf, type LayoutFiles, openVerified, readFile, type Stretch } from './layoutFiles.ts';
import { LARGEST_MANIFEST, notAnImage, readDocument } from './manifest.ts';
import type { OciLayer } from './ociImage.ts';
import { asShortName } from './ociLayout.ts';
import type { OpenedImage } from './openedImage.ts';
import type { Platform } from './platform.ts';
import { checkPlatform } from './resolve.ts';

const entry = z.object({
  Config: z.string(),
  RepoTags: z.array(z.string()).nullish(),
  Layers: z.array(z.string()).max(500),
});
const manifest = z.array(entry).max(10_000);
type Entry = z.infer<typeof entry>;

/**
 * An image of what `docker save` writes. It has no manifest of its own, so it is known by its configuration, which names
 * the content of every layer.
 */
export async function openDockerArchive(
  files: LayoutFiles,
  name: string | undefined,
  platform: Platform,
  signal: AbortSignal,
): Promise<OpenedImage> {
  const { place } = files;
  const bytes = await readFile(files, 'manifest.json', LARGEST_MANIFEST);
  const chosen = chooseEntry(
    readDocument(manifest, bytes ?? Buffer.from(''), `manifest.json of ${place}`),
    name,
    place,
  );
  const config = await readFile(files, chosen.Config, LARGEST_CONFIG);
  if (config === undefined) throw notAnImage(`${place} lacks its configuration ${chosen.Config}`);
  const digest = digestOf(config);
  const described = readImageConfig(config, chosen.Layers.length, place);
  checkPlatform(described, platform, place);
  const layers = await Promise.all(
    chosen.Layers.map((file, at) => archiveLayer(files, file, described.diffIds[at]!, signal)),
  );
  return {
    digest,
    name: asShortName(chosen.RepoTags?.[0] ?? ''),
    close: () => files[Symbol.dispose](),
    image: async () => ({ digest, config: described.config, layers }),
  };
}

function chooseEntry(entries: readonly Entry[], name: string | undefined, place: string): Entry {
  const names = entries.flatMap(({ RepoTags }) => RepoTags ?? []);
  const wanted =
    name === undefined ? entries : entries.filter((_, at) => name === `@${at}` || goesBy(entries[at]!, name));
  if (wanted.length === 1) return wanted[0]!;
  const choice = names.length === 0 ? `@0 to @${entries.length - 1}` : names.slice(0, 20).join(', ');
  throw new CoppiceError(
    wanted.length > 1 ? 'ambiguous_reference' : 'registry_tag_not_found',
    wanted.length > 1 ? `${place} holds several images` : `${place} holds no image ${name ?? 'at all'}`,
    {
      field: 'registry_url',
      fix: entries.length === 0 ? 'Save it again.' : `Name one after a colon: ${choice}.`,
      data: { names: names.slice(0, 100) },
    },
  );
}

/** `busybox` and `docker.io/library/busybox:latest` are the same name. */
function goesBy({ RepoTags }: Entry, name: string): boolean {
  const wanted = asShortName(name);
  return (RepoTags ?? []).some(tag => tag === name || (wanted !== undefined && asShortName(tag) === wanted));
}

/** Plain tars are what the configuration calls them; packed ones are only in newer archives, which name them by digest. */
async function archiveLayer(files: LayoutFiles, file: string, diffId: string, signal: AbortSignal): Promise<OciLayer> {
  const stretch = openLayer(files, file);
  try {
    const digest = await digestOfLayer(stretch, file, diffId, signal);
    return {
      digest,
      diffId,
      size: stretch.size,
      open: aborted => openVerified(files, openLayer(files, file), digest, aborted),
    };
  } finally {
    closeSync(stretch.fd);
  }
}

function openLayer(files: LayoutFiles, file: string): Stretch {
  const stretch = files.open(file);
  if (!stretch) throw notAnImage(`${files.place} lacks its layer ${file}`);
  return stretch;
}

async function digestOfLayer(stretch: Stretch, file: string, diffId: string, signal: AbortSignal): Promise<string> {
  if (packingOf(await headOf(stretch)) === 'plain') return diffId;
  const named = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(file);
  return named ? `${named[1]}:${named[2]}` : digestOfStretch(stretch, diffId, signal);
}

import { closeSync } from 'node:fs';
import nodePath from 'node:path';
import { z } from 'zod';
import { CoppiceError } from '../protocol/errors.ts';
import { isTagName } from '../protocol/names.ts';
import { matches } from './digest.ts';
import { LARGEST_CONFIG, readImageConfig } from './imageConfig.ts';
import { type LayoutFiles, openVerified, readFile } from './layoutFiles.ts';
import {
  type BlobDescriptor,
  choosePlatform,
  type IndexEntry,
  LARGEST_MANIFEST,
  notAnImage,
  readDocument,
  readManifest,
} from './manifest.ts';
import type { OciLayer } from './ociImage.ts';
import type { OpenedImage } from './openedImage.ts';
import type { Platform } from './platform.ts';
import { parseReference, shortName } from './reference.ts';
import { checkPlatform, resolveManifest } from './resolve.ts';
import { badDigest } from './session.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
const FULL_NAME = 'io.containerd.image.name';
const marker = z.object({ imageLayoutVersion: z.string() });

/** An image of an OCI layout: by its name where there are several, for a platform where there is a choice. */
export async function openOciLayout(
  files: LayoutFiles,
  name: string | undefined,
  platform: Platform,
): Promise<OpenedImage> {
  const { place } = files;
  readDocument(marker, (await readFile(files, 'oci-layout', 4096)) ?? Buffer.from('{}'), `oci-layout of ${place}`);
  const index = await readFile(files, 'index.json', LARGEST_MANIFEST);
  const found = readManifest(index ?? Buffer.from(''), place);
  if (!('manifests' in found)) throw notAnImage(`index.json of ${place} is no index`);
  const entry = chooseEntry(found.manifests, name, platform, place);
  const read = (digest: string) => readBlob(files, { digest }, LARGEST_MANIFEST);
  const resolved = await resolveManifest(await read(entry.digest), entry.digest, platform, place, read);
  return {
    digest: resolved.digest,
    name: ownName(entry, place),
    close: () => files[Symbol.dispose](),
    async image() {
      const { config, layers } = resolved.manifest;
      const described = readImageConfig(await readBlob(files, config, LARGEST_CONFIG), layers.length, place);
      checkPlatform(described, platform, place);
      return {
        digest: resolved.digest,
        config: described.config,
        layers: layers.map((layer, at) => blobLayer(files, layer, described.diffIds[at]!)),
      };
    },
  };
}

function chooseEntry(
  entries: readonly IndexEntry[],
  name: string | undefined,
  platform: Platform,
  place: string,
): IndexEntry {
  const names = [...new Set(entries.flatMap(namesOf))];
  const wanted = name === undefined ? entries : entries.filter(entry => namesOf(entry).includes(name));
  const several = name === undefined && new Set(entries.map(entry => namesOf(entry)[0])).size > 1;
  if (wanted.length === 0 || several)
    throw new CoppiceError(
      several ? 'ambiguous_reference' : 'registry_tag_not_found',
      several ? `${place} holds several images` : `${place} holds no image ${name ?? 'at all'}`,
      {
        field: 'registry_url',
        fix: names.length === 0 ? 'Leave the name out.' : `Name one after a colon: ${names.slice(0, 20).join(', ')}.`,
        data: { names: names.slice(0, 100) },
      },
    );
  return wanted.length === 1 ? wanted[0]! : choosePlatform(wanted, platform, place);
}

const namesOf = ({ annotations }: IndexEntry): string[] =>
  [annotations?.[REF_NAME], annotations?.[FULL_NAME]].filter(name => name !== undefined);

/** A whole name as people write it; a tag alone says what it is a tag of by the layout's own name. */
function ownName({ annotations }: IndexEntry, place: string): string | undefined {
  const given = annotations?.[FULL_NAME] ?? annotations?.[REF_NAME];
  if (given !== undefined && /[:/]/.test(given)) return asShortName(given);
  const base = nodePath.basename(place).replace(/\.(?:oci|tar|tgz|tar\.gz|tar\.zst)$/, '');
  const name = given === undefined ? base : `${base}:${given}`;
  return isTagName(name) ? name : undefined;
}

export function asShortName(name: string): string | undefined {
  try {
    return shortName(parseReference(name));
  } catch {
    return undefined; // Some tools write names that no registry would take; then there is none.
  }
}

export const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

async function readBlob(
  files: LayoutFiles,
  blob: { readonly digest: string; readonly size?: number },
  most: number,
): Promise<Buffer> {
  const bytes = await readFile(files, blobName(blob.digest), most);
  if (bytes === undefined) throw notAnImage(`${files.place} lacks ${blob.digest}, or it is larger than ${most} bytes`);
  if (!matches(bytes, blob.digest)) throw badDigest(blob.digest, files.place);
  return bytes;
}

function blobLayer(files: LayoutFiles, { digest, size }: BlobDescriptor, diffId: string): OciLayer {
  return {
    digest,
    diffId,
    size,
    async open(signal) {
      const stretch = files.open(blobName(digest));
      if (!stretch) throw notAnImage(`${files.place} lacks its layer ${digest}`);
      if (stretch.size !== size) {
        closeSync(stretch.fd);
        throw badDigest(digest, files.place);
      }
      return openVerified(files, stretch, digest, signal);
    },
  };
}

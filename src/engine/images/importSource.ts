import path from 'node:path';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import { readSource } from '../../protocol/imageSource.ts';
import { isTagName } from '../../protocol/names.ts';
import type { OutsideSource } from '../../registry/outsideImages.ts';
import { canonicalSource, parseReference, shortName } from '../../registry/reference.ts';
import type { ImageSource } from '../../runtimes/runtime.ts';

/** Where an import comes from, as it was written. */
export interface ImportSource {
  /** The same text for every way to write it; the image remembers it. */
  readonly text: string;
  /** Runtimes know what to do with these themselves; what is outside has to be found first. */
  readonly place: ImageSource | OutsideSource;
  /** What an import without a tag is called, as far as the source's text tells. */
  readonly name: string | undefined;
}

export function parseImportSource(written: string, platform: string | undefined): ImportSource {
  const source = readSource(written);
  switch (source?.kind) {
    case 'host':
      refusePlatform('host:', platform);
      return { text: 'host:', place: source, name: 'host' };
    case 'rootfs':
      refusePlatform('rootfs:', platform);
      if (!source.path.startsWith('/'))
        throw invalidInput('registry_url', 'rootfs: needs an absolute path of a tar or a folder');
      return { text: written, place: source, name: nameOfPath(source.path) };
    case 'docker-daemon':
      refusePlatform('docker-daemon:', platform);
      if (!/^[A-Za-z0-9][\w./:@-]*$/.test(source.reference))
        throw invalidInput('registry_url', 'docker-daemon: needs the name or the id of an image');
      return { text: written, place: source, name: nameInDaemon(source.reference) };
    case 'archive':
      return { text: `${source.scheme}:${source.place}`, place: source, name: undefined };
    case 'registry': {
      const reference = parseReference(source.text);
      return { text: canonicalSource(reference), place: { kind: 'registry', reference }, name: shortName(reference) };
    }
    default:
      throw new CoppiceError('unsupported', `cannot import ${written}`, {
        field: 'registry_url',
        fix: 'Use docker://name:tag, docker-daemon:NAME for an image that Docker has, oci:, oci-archive: or docker-archive: with a path, rootfs: with a tar or a folder, or host: for this machine.',
      });
  }
}

function refusePlatform(scheme: string, platform: string | undefined): void {
  if (platform !== undefined)
    throw invalidInput('platform', `${scheme} has no platform to choose from`, 'Leave it out.');
}

function nameInDaemon(reference: string): string | undefined {
  const name = reference.split('@', 1)[0]!;
  return isTagName(name) && !/^(sha256:)?[0-9a-f]{12,64}$/.test(name) ? name : undefined;
}

function nameOfPath(place: string): string | undefined {
  const name = path.basename(place).replace(/\.(tar|tgz|tar\.gz|tar\.zst)$/, '');
  return isTagName(name) ? name : undefined;
}

import { closeSync, existsSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { CoppiceError, invalidInput } from '../protocol/errors.ts';
import { type ArchiveScheme, placeReadings } from '../protocol/imageSource.ts';
import { openDockerArchive } from './dockerArchive.ts';
import { type ExpandedArchives, packingOf } from './expandedArchive.ts';
import { folderFiles } from './folderFiles.ts';
import type { LayoutFiles } from './layoutFiles.ts';
import { notAnImage } from './manifest.ts';
import { openOciLayout } from './ociLayout.ts';
import type { OpenedImage } from './openedImage.ts';
import type { Platform } from './platform.ts';
import { tarFiles } from './tarFiles.ts';

/** An image from a file or a folder of this machine: an OCI layout, or what `docker save` writes. */
export async function openArchiveImage(
  scheme: ArchiveScheme,
  place: string,
  platform: Platform,
  expanded: ExpandedArchives,
  signal: AbortSignal,
): Promise<OpenedImage> {
  const { path, name } = findPlace(scheme, place);
  const files = await openFiles(path, expanded, signal);
  try {
    const layout = has(files, 'index.json');
    const docker = has(files, 'manifest.json');
    if (!layout && !docker) throw notAnImage(`${path} holds neither an OCI layout nor an archive of Docker’s`);
    if (scheme !== 'docker-archive' && !layout)
      throw invalidInput('registry_url', `${path} is an archive of Docker’s`, `Import it as docker-archive:${path}.`);
    // Newer archives of Docker's are both; what was asked for is read.
    return scheme === 'docker-archive' && docker
      ? await openDockerArchive(files, name, platform, signal)
      : await openOciLayout(files, name, platform);
  } catch (error) {
    files[Symbol.dispose]();
    throw error;
  }
}

function findPlace(scheme: ArchiveScheme, place: string): { path: string; name: string | undefined } {
  if (!place.startsWith('/')) throw invalidInput('registry_url', `${scheme}: needs an absolute path`);
  const found = placeReadings(place).find(({ path }) => existsSync(path));
  if (found) return found;
  throw new CoppiceError('path_not_found', `${place} is not there`, {
    field: 'registry_url',
    fix: `Give the absolute path of a file or a folder, and after a colon the name of one of its images: ${scheme}:/path:name.`,
  });
}

async function openFiles(path: string, expanded: ExpandedArchives, signal: AbortSignal): Promise<LayoutFiles> {
  const stats = statSync(path);
  if (stats.isDirectory()) return folderFiles(path);
  // A pipe would hang whoever opens it.
  if (!stats.isFile()) throw notAnImage(`${path} is neither a file nor a folder`);
  const packing = packingOf(headOfFile(path));
  if (packing === 'plain') return tarFiles(path);
  const plain = await expanded.expand(path, packing, signal);
  const remove = () => rmSync(plain, { force: true });
  try {
    const files = tarFiles(plain, path);
    return {
      place: path,
      open: name => files.open(name),
      [Symbol.dispose]: () => {
        files[Symbol.dispose]();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function headOfFile(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(6);
    return head.subarray(0, readSync(fd, head));
  } finally {
    closeSync(fd);
  }
}

function has(files: LayoutFiles, name: string): boolean {
  const stretch = files.open(name);
  if (stretch) closeSync(stretch.fd);
  return stretch !== undefined;
}

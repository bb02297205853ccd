import { CoppiceError } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';
import type { Handlers } from '../call.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from '../images/imageStore.ts';
import type { Runtimes } from '../runtimes.ts';
import { followed } from './artifactSource.ts';
import { compareImages } from './compareImages.ts';
import { download } from './download.ts';
import type { Ground } from './ground.ts';
import { readFile } from './readFile.ts';

type ArtifactVerb = 'list_files' | 'stat_file' | 'read_file' | 'grep' | 'diff' | 'download';

/** Looking into images and taking things out of them; no container is started for any of it. */
export function artifactVerbs(
  images: ImageStore,
  runtimes: Runtimes,
  ground: Ground,
  home: string,
): Pick<Handlers, ArtifactVerb> {
  const filesOf = (image: ImageRecord) => runtimes.of(image).files(toRuntimeImage(image));
  const filesFound = (image: ImageRecord, foundBy: string | undefined) =>
    foundBy === undefined ? filesOf(image) : ground.of(images.resolve(foundBy, 'found_by'), filesOf(image));
  return {
    async list_files(request) {
      const image = images.resolve(request.image);
      const files = filesOf(image);
      const entries = await files.list(request.path);
      const listed = entries.slice(request.offset, request.offset + request.limit);
      return {
        image: image.uuid,
        path: request.path,
        entries: request.follow ? await Promise.all(listed.map(entry => withTarget(files, entry))) : listed,
        total: entries.length,
      };
    },
    async stat_file(request) {
      const image = images.resolve(request.image);
      const files = filesFound(image, request.found_by);
      const entry = await files.stat(request.path);
      return { image: image.uuid, entry, target: await targetOf(files, entry) };
    },
    async read_file(request) {
      const image = images.resolve(request.image);
      return readFile(filesFound(image, request.found_by), image.uuid, request);
    },
    async grep(request, call) {
      const image = images.resolve(request.image);
      const { matches, truncated, filesSearched } = await filesOf(image).grep({
        path: request.path,
        pattern: request.pattern,
        ignoreCase: request.ignore_case,
        glob: request.glob,
        maxTotal: request.max_total,
        signal: call.signal,
      });
      return { image: image.uuid, matches: [...matches], truncated, files_searched: filesSearched };
    },
    diff: (request, call) => compareImages(images, runtimes, ground, request, call),
    async download(request, call) {
      const image = images.resolve(request.image);
      images.touch(image.uuid);
      return download(filesOf(image), home, request, call);
    },
  };
}

async function withTarget(files: Pick<ImageFiles, 'stat'>, entry: FileEntry): Promise<FileEntry> {
  return entry.type === 'link' ? { ...entry, stands_for: (await targetOf(files, entry))?.type ?? null } : entry;
}

/** null for what is no link, and for a link that leads nowhere. */
async function targetOf(files: Pick<ImageFiles, 'stat'>, entry: FileEntry): Promise<FileEntry | null> {
  if (entry.type !== 'link') return null;
  try {
    return await followed(files, entry.path);
  } catch (error) {
    if (error instanceof CoppiceError && (error.code === 'path_not_found' || error.code === 'not_a_directory'))
      return null;
    throw error;
  }
}

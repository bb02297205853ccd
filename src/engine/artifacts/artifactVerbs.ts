import type { Handlers } from '../call.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from '../images/imageStore.ts';
import type { Runtimes } from '../runtimes.ts';
import { compareImages } from './compareImages.ts';
import { download } from './download.ts';
import { readFile } from './readFile.ts';

type ArtifactVerb = 'list_files' | 'read_file' | 'grep' | 'diff' | 'download';

/** Looking into images and taking things out of them; no container is started for any of it. */
export function artifactVerbs(images: ImageStore, runtimes: Runtimes, home: string): Pick<Handlers, ArtifactVerb> {
  const filesOf = (image: ImageRecord) => runtimes.of(image).files(toRuntimeImage(image));
  return {
    async list_files(request) {
      const image = images.resolve(request.image);
      const entries = await filesOf(image).list(request.path);
      return {
        image: image.uuid,
        path: request.path,
        entries: entries.slice(request.offset, request.offset + request.limit),
        total: entries.length,
      };
    },
    async read_file(request) {
      const image = images.resolve(request.image);
      return readFile(filesOf(image), image.uuid, request);
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
    diff: (request, call) => compareImages(images, runtimes, request, call),
    async download(request, call) {
      const image = images.resolve(request.image);
      images.touch(image.uuid);
      return download(filesOf(image), home, request, call);
    },
  };
}

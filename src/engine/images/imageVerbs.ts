import type { Handlers } from '../call.ts';
import type { Operations } from '../operations/operations.ts';
import { time } from '../operations/operationVerbs.ts';
import type { Build } from './build.ts';
import type { HostDrift } from './hostDrift.ts';
import type { ImageStore } from './imageStore.ts';
import type { ImportImage } from './importImage.ts';
import { lineageOf } from './lineage.ts';
import type { RegistryAuth } from './registryAuth.ts';

type ImageVerb = 'import_image' | 'build' | 'registry_auth' | 'list_images' | 'get_image' | 'set_tag' | 'lineage';

export function imageVerbs(
  images: ImageStore,
  importImage: ImportImage,
  build: Build,
  registryAuth: RegistryAuth,
  operations: Operations,
  drift: HostDrift,
): Pick<Handlers, ImageVerb> {
  return {
    import_image: (request, call) => importImage.call(request, call),
    build: (request, call) => build.call(request, call),
    registry_auth: (request, call) => registryAuth.call(request, call),
    async list_images(request) {
      await drift.refresh();
      const { images: records, total } = images.list(
        {
          tagPrefix: request.tag_prefix,
          tagged: request.tagged,
          runtime: request.runtime,
          since: time(request.since),
          until: time(request.until),
        },
        request.limit,
        request.offset,
      );
      return { images: images.views(records), total };
    },
    async get_image(request) {
      await drift.refresh();
      const image = images.resolve(request.image);
      const chain = [image, ...lineageOf(images, image).ancestors.map(ancestor => images.find(ancestor.image)!)];
      return {
        ...images.view(image),
        config: image.config,
        digest: image.digest,
        total_size: chain.reduce((sum, ancestor) => sum + ancestor.size, 0),
        depth: chain.length - 1,
      };
    },
    async set_tag(request) {
      const image = images.resolve(request.image);
      const { previousTag, movedFrom } = images.setTag(image.uuid, request.tag);
      const usedOnce =
        request.tag !== null && images.children(image.uuid).length === 0 && operations.startsFrom(image.uuid) === 0;
      return {
        image: image.uuid,
        tag: request.tag,
        previous_tag: previousTag,
        moved_from: movedFrom,
        hints: usedOnce
          ? [
              'Nothing has been started from this image yet. For an image used once its UUID is enough; tags are for those you come back to.',
            ]
          : [],
      };
    },
    async lineage(request) {
      return lineageOf(images, images.resolve(request.image));
    },
  };
}

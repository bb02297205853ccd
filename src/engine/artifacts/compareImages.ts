import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { Call } from '../call.ts';
import { type ImageRecord, type ImageStore, toRuntimeImage } from '../images/imageStore.ts';
import type { Runtimes } from '../runtimes.ts';
import type { Ground } from './ground.ts';
import { withText } from './textDiff.ts';

/** The verb `diff`: what an image has that another, by default its parent, has not. */
export async function compareImages(
  images: ImageStore,
  runtimes: Runtimes,
  ground: Ground,
  request: VerbRequest<'diff'>,
  call: Call,
): Promise<VerbResult<'diff'>> {
  const image = images.resolve(request.image);
  const against = request.against === undefined ? parentOf(images, image) : images.resolve(request.against, 'against');
  // A root has no parent, so nothing was done to one.
  if (!against) return { image: image.uuid, against: null, entries: [], total: 0, added_bytes: 0 };
  const runtime = runtimes.of(image);
  if (against.runtime !== image.runtime) throw acrossRuntimes(image, against);
  const [before, after] = [toRuntimeImage(against), toRuntimeImage(image)];
  const entries =
    against.uuid === image.uuid ? [] : await runtime.diff(before, after, { path: request.path, signal: call.signal });
  const listed = entries.slice(0, request.limit);
  return {
    image: image.uuid,
    against: against.uuid,
    entries: request.text
      ? await withText(listed, ground.of(image, runtime.files(before)), runtime.files(after), call.signal)
      : [...listed],
    total: entries.length,
    added_bytes: entries.reduce((sum, entry) => sum + (entry.change === 'D' ? 0 : entry.size), 0),
  };
}

function acrossRuntimes(image: ImageRecord, against: ImageRecord): CoppiceError {
  return new CoppiceError(
    'unsupported',
    `image ${image.uuid} is of the runtime ${image.runtime}, ${against.uuid} of ${against.runtime}: they cannot be compared`,
    { field: 'against', fix: 'Compare images of one runtime; coppice images shows which is which.' },
  );
}

function parentOf(images: ImageStore, image: ImageRecord): ImageRecord | undefined {
  if (image.parent === null) return undefined;
  const parent = images.find(image.parent);
  if (parent && parent.removedAt === null) return parent;
  throw new CoppiceError('image_not_found', `the parent of image ${image.uuid}, ${image.parent}, was removed`, {
    field: 'against',
    fix: 'Name an image to compare with; coppice lineage shows its other ancestors.',
    data: { image: image.uuid, parent: image.parent },
  });
}

import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ImageRemoval } from './imageRemoval.ts';

/** The verb `remove_image`: one image, unless something holds it. With children its record stays, for their lineage. */
export async function removeImage(
  removal: ImageRemoval,
  request: VerbRequest<'remove_image'>,
): Promise<VerbResult<'remove_image'>> {
  const image = removal.images.resolve(request.image);
  const holds = removal.holds(image);
  const [first] = holds;
  if (first && !request.force) {
    throw new CoppiceError('in_use', `image ${image.uuid} ${holds.map(hold => hold.reason).join(', and ')}`, {
      field: 'image',
      fix: first.cure,
      data: { image: image.uuid, held_by: holds.map(hold => hold.reason) },
    });
  }
  const freed = await removal.remove([image]);
  const reason = first ? `forced: it ${holds.map(hold => hold.reason).join(', and ')}` : 'asked for';
  return { removed: [{ image: image.uuid, tag: image.tag, size: image.size, reason }], freed_bytes: freed };
}

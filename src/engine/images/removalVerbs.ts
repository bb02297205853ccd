import type { Handlers } from '../call.ts';
import type { ImageRemoval } from './imageRemoval.ts';
import { prune } from './prune.ts';
import { removeImage } from './removeImage.ts';

export function removalVerbs(removal: ImageRemoval): Pick<Handlers, 'remove_image' | 'prune'> {
  return {
    remove_image: request => removeImage(removal, request),
    prune: request => prune(removal, request),
  };
}

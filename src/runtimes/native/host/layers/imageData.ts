import { CoppiceError } from '../../../../protocol/errors.ts';
import type { RuntimeImage } from '../../../runtime.ts';

/** What the engine keeps of a native image: enough to mount it. */
export interface ImageData {
  /** Topmost first. */
  readonly layers: readonly string[];
  /** The machine's own folders lie below. */
  readonly host: boolean;
  /** Those of `layers` that were laid under a run (its directory state and files), not written by one. */
  readonly laid: readonly string[];
}

const layerId = /^[a-z0-9]{8}$/;

export function imageData(image: RuntimeImage): ImageData {
  const data = image.data as Partial<ImageData> | null | undefined;
  const layers = data?.layers;
  const laid = data?.laid ?? [];
  if (!isIds(layers) || !isIds(laid) || typeof data?.host !== 'boolean') {
    throw new CoppiceError('image_not_found', `image ${image.uuid} is not one of the native runtime`, {
      fix: 'Choose an image of the native runtime: `coppice images`.',
    });
  }
  return { layers, laid, host: data.host };
}

/** Ids become parts of paths and mount options, so nothing else passes. */
function isIds(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(id => typeof id === 'string' && layerId.test(id));
}

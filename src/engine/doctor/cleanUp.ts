import type { VerbResult } from '../../protocol/verbs.ts';
import { toRuntimeImage } from '../images/imageStore.ts';
import type { DoctorParts } from './doctor.ts';

/**
 * The verb `clean_up`: what every engine does at its start, once more. For a daemon that was not there then, or that refused
 * to remove something. Only where things can outlive their engine.
 */
export async function cleanUp(
  parts: Pick<DoctorParts, 'runtimes' | 'images' | 'operations'>,
): Promise<VerbResult<'clean_up'>> {
  const removed: string[] = [];
  for (const runtime of parts.runtimes.filter(({ adopt }) => adopt !== undefined)) {
    const images = parts.images.living().filter(image => image.runtime === runtime.name);
    removed.push(
      ...(await runtime.reap({ images: images.map(toRuntimeImage), sandboxes: parts.operations.unfinished() })),
    );
  }
  return { removed };
}

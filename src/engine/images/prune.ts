import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ImageRemoval } from './imageRemoval.ts';
import type { ImageRecord, ImageStore } from './imageStore.ts';

/** The verb `prune`: every image that nobody used for a while and nothing that stays needs. */
export async function prune(
  removal: ImageRemoval,
  request: VerbRequest<'prune'>,
  now = Date.now(),
): Promise<VerbResult<'prune'>> {
  const living = removal.images.living();
  const kept = keptImages(removal, living, request, now);
  // Children before their parents.
  const unused = living.filter(image => !kept.has(image.uuid)).reverse();
  const freed = request.dry_run ? unused.reduce((sum, image) => sum + image.size, 0) : await removal.remove(unused);
  return {
    removed: unused.map(image => ({
      image: image.uuid,
      tag: image.tag,
      size: image.size,
      reason: reasonFor(image, now),
    })),
    kept: living.length - unused.length,
    freed_bytes: freed,
    dry_run: request.dry_run,
  };
}

/** Those that are held or were used lately, and everything they came from. */
function keptImages(
  removal: ImageRemoval,
  living: readonly ImageRecord[],
  policy: VerbRequest<'prune'>,
  now: number,
): Set<string> {
  const inUse = removal.inUse();
  const held = removal.branches.heldImages();
  const kept = new Set<string>();
  for (const image of living) {
    const needed =
      inUse.has(image.uuid) ||
      held.has(image.uuid) ||
      (policy.keep_tagged && image.tag !== null) ||
      now - image.usedAt < policy.unused_for * 1000;
    if (needed) keepWithAncestors(removal.images, image, kept);
  }
  return kept;
}

function keepWithAncestors(images: ImageStore, image: ImageRecord, kept: Set<string>): void {
  for (let next: ImageRecord | undefined = image; next && !kept.has(next.uuid); ) {
    kept.add(next.uuid);
    next = next.parent === null ? undefined : images.find(next.parent);
  }
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;

function reasonFor(image: ImageRecord, now: number): string {
  const since = now - image.usedAt;
  const tag = image.tag === null ? '' : `, its tag ${image.tag} goes with it`;
  const found = UNITS.find(([, milliseconds]) => since >= milliseconds);
  if (!found) return `used a moment ago${tag}`;
  const count = Math.floor(since / found[1]);
  return `not used for ${count} ${found[0]}${count === 1 ? '' : 's'}${tag}`;
}

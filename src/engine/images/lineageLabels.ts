import type { ImageRecord, ImageStore } from './imageStore.ts';

/** Labels of an exported image that say where it came from. Who imports it again finds them in its configuration. */

interface Step {
  readonly image: string;
  readonly command: string | null;
  readonly exit_code: number | null;
  readonly created_at: string;
  readonly source?: string;
}

/** Of the newest steps: labels are read by tools that keep them in memory. */
const MOST_STEPS = 500;

/** The image and what it came from, root first, as far as it is known. */
export function exportedLineage(images: ImageStore, image: ImageRecord): readonly ImageRecord[] {
  const lineage = [image];
  for (let parent = image.parent; parent !== null; parent = lineage[0]!.parent) {
    const found = images.find(parent);
    if (found === undefined) break;
    lineage.unshift(found);
  }
  return lineage;
}

export function lineageLabels(image: ImageRecord, lineage: readonly ImageRecord[]): Record<string, string> {
  const root = lineage[0]!;
  const steps = [...earlierSteps(root), ...lineage.map(stepOf)].slice(-MOST_STEPS);
  return {
    'coppice.image': image.uuid,
    ...(image.parent === null ? {} : { 'coppice.parent': image.parent }),
    ...(root.source === null ? {} : { 'coppice.source': root.source }),
    ...(root.digest === null ? {} : { 'coppice.source.digest': root.digest }),
    'coppice.lineage': JSON.stringify(steps),
  };
}

function stepOf({ uuid, command, exitCode, createdAt, source }: ImageRecord): Step {
  const step = { image: uuid, command, exit_code: exitCode, created_at: new Date(createdAt).toISOString() };
  return source === null ? step : { ...step, source };
}

/** What was exported, imported and went on from there has a past before its root. */
function earlierSteps(root: ImageRecord): readonly unknown[] {
  try {
    const steps: unknown = JSON.parse(root.config.labels['coppice.lineage'] ?? '[]');
    return Array.isArray(steps) ? steps : [];
  } catch {
    // Anyone may write labels.
    return [];
  }
}

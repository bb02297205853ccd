import type { Lineage, LineageEdge } from '../../protocol/schemas/images.ts';
import type { ImageRecord, ImageStore } from './imageStore.ts';

/** The tree around one image, from the records alone. Removed ancestors are named, and `is_known` turns false. */
export function lineageOf(images: ImageStore, image: ImageRecord): Lineage {
  const ancestors: LineageEdge[] = [];
  let root = image;
  let known = true;
  for (let child = image; child.parent !== null; ) {
    const parent = images.find(child.parent);
    if (!parent) {
      known = false;
      break;
    }
    if (parent.removedAt !== null) known = false;
    ancestors.push({
      ...edge(parent),
      command: child.command,
      exit_code: child.exitCode,
      operation_id: child.operationId,
    });
    root = parent;
    child = parent;
  }
  return {
    image: image.uuid,
    tag: image.tag,
    parent: ancestors[0] ?? null,
    children: images.children(image.uuid).map(edge),
    ancestors,
    root: { image: root.uuid, registry_url: root.source },
    depth: ancestors.length,
    is_known: known,
  };
}

/** An image with what made it. */
function edge(image: ImageRecord): LineageEdge {
  return {
    image: image.uuid,
    tag: image.tag,
    command: image.command,
    exit_code: image.exitCode,
    operation_id: image.operationId,
    created_at: new Date(image.createdAt).toISOString(),
  };
}

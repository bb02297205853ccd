import type { ImageView } from '../../protocol/schemas/images.ts';

/** One image with its place in the family. */
export interface LineageNode {
  readonly image: ImageView;
  /** undefined for a root, and where the parent is no longer here. */
  readonly parent: LineageNode | undefined;
  /** The oldest first. */
  readonly children: readonly LineageNode[];
}

interface Node extends LineageNode {
  image: ImageView;
  parent: Node | undefined;
  children: Node[];
}

/** What has to be drawn anew. */
export type LineageChange =
  | { readonly kind: 'none' }
  /** Roots came or went. */
  | { readonly kind: 'roots' }
  | { readonly kind: 'node'; readonly node: LineageNode };

/** All living images as trees. Pure, so that its rules are unit tests. */
export class LineageForest {
  #nodes = new Map<string, Node>();
  #roots: Node[] = [];

  get size(): number {
    return this.#nodes.size;
  }
  get roots(): readonly LineageNode[] {
    return this.#roots;
  }
  find(uuid: string): LineageNode | undefined {
    return this.#nodes.get(uuid);
  }

  replace(images: readonly ImageView[]): void {
    this.#nodes = new Map(images.map(image => [image.uuid, { image, parent: undefined, children: [] }]));
    for (const node of this.#nodes.values()) this.#attach(node);
    this.#roots = [...this.#nodes.values()].filter(node => node.parent === undefined).sort(oldestFirst);
    for (const node of this.#nodes.values()) node.children.sort(oldestFirst);
  }

  put(image: ImageView): LineageChange {
    const known = this.#nodes.get(image.uuid);
    if (known) {
      known.image = image;
      return { kind: 'node', node: known };
    }
    const node: Node = { image, parent: undefined, children: [] };
    this.#nodes.set(image.uuid, node);
    this.#attach(node);
    if (node.parent) {
      node.parent.children.sort(oldestFirst);
      return { kind: 'node', node: node.parent };
    }
    this.#roots.push(node);
    this.#roots.sort(oldestFirst);
    return { kind: 'roots' };
  }

  /** What was made from a removed image stands as a root of its own. */
  remove(uuid: string): LineageChange {
    const node = this.#nodes.get(uuid);
    if (!node) return { kind: 'none' };
    this.#nodes.delete(uuid);
    for (const child of node.children) child.parent = undefined;
    if (node.parent) node.parent.children = node.parent.children.filter(child => child !== node);
    else this.#roots = this.#roots.filter(root => root !== node);
    if (node.children.length > 0) this.#roots = [...this.#roots, ...node.children].sort(oldestFirst);
    return node.parent && node.children.length === 0 ? { kind: 'node', node: node.parent } : { kind: 'roots' };
  }

  /** Those that a branch's head came from. */
  leadsToHead(): ReadonlySet<string> {
    const leading = new Set<string>();
    for (const { image, parent } of this.#nodes.values()) {
      if (image.branches.length === 0) continue;
      for (let next = parent; next && !leading.has(next.image.uuid); next = next.parent) leading.add(next.image.uuid);
    }
    return leading;
  }

  #attach(node: Node): void {
    node.parent = node.image.parent === null ? undefined : this.#nodes.get(node.image.parent);
    node.parent?.children.push(node);
  }
}

function oldestFirst(a: LineageNode, b: LineageNode): number {
  return a.image.created_at.localeCompare(b.image.created_at);
}

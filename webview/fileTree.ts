import type { ChangedFile } from './protocol.ts';

/** Changed files as a tree. Folders that hold nothing but one folder are one row. */
export interface FileNode {
  readonly path: string;
  readonly name: string;
  readonly entry: ChangedFile | undefined;
  readonly children: readonly FileNode[];
  /** Of everything below. */
  readonly size: number;
  readonly files: number;
}

interface Growing {
  entry: ChangedFile | undefined;
  readonly children: Map<string, Growing>;
}

export function fileTree(entries: readonly ChangedFile[]): readonly FileNode[] {
  const root: Growing = { entry: undefined, children: new Map() };
  for (const entry of entries) {
    let at = root;
    for (const step of entry.path.split('/').filter(part => part !== '')) {
      let child = at.children.get(step);
      if (!child) {
        child = { entry: undefined, children: new Map() };
        at.children.set(step, child);
      }
      at = child;
    }
    at.entry = entry;
  }
  return nodesOf(root, '');
}

function nodesOf(folder: Growing, path: string): FileNode[] {
  return [...folder.children]
    .map(([name, child]) => nodeOf(name, `${path}/${name}`, child))
    .toSorted(
      (a, b) => Number(a.children.length === 0) - Number(b.children.length === 0) || a.name.localeCompare(b.name),
    );
}

function nodeOf(name: string, path: string, { entry, children }: Growing): FileNode {
  const inside = [...children];
  const [only] = inside;
  // A folder that was made is worth a row of its own.
  if (inside.length === 1 && only![1].children.size > 0 && entry?.change !== 'A') {
    return nodeOf(`${name}/${only![0]}`, `${path}/${only![0]}`, only![1]);
  }
  const nodes = nodesOf({ entry, children }, path);
  const isFile = entry !== undefined && entry.kind !== 'directory';
  return {
    path,
    name,
    entry,
    children: nodes,
    size: nodes.reduce((sum, node) => sum + node.size, isFile && entry.change !== 'D' ? entry.size : 0),
    files: nodes.reduce((sum, node) => sum + node.files, isFile ? 1 : 0),
  };
}

export interface VisibleNode {
  readonly node: FileNode;
  readonly depth: number;
  readonly open: boolean;
}

export function visibleNodes(nodes: readonly FileNode[], closed: ReadonlySet<string>, depth = 0): VisibleNode[] {
  return nodes.flatMap(node => {
    const open = node.children.length > 0 && !closed.has(node.path);
    return [{ node, depth, open }, ...(open ? visibleNodes(node.children, closed, depth + 1) : [])];
  });
}

export interface TreeRow<T> {
  readonly isRoot: boolean;
  /** The lines drawn before the item. */
  readonly stem: string;
  readonly item: T;
}

/**
 * Draws items as trees. An only child stands right below its parent, so that a long line of descent stays a
 * line; only a fork indents. Items whose parent is not among them are roots.
 */
export function growTrees<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  parentOf: (item: T) => string | null,
): readonly TreeRow<T>[] {
  const ids = new Set(items.map(idOf));
  const children = Map.groupBy(items, item => {
    const parent = parentOf(item);
    return parent !== null && ids.has(parent) ? parent : null;
  });
  const rows: TreeRow<T>[] = [];
  // A stack of what is still to draw, for lines of descent of any length.
  const waiting: { readonly item: T; readonly stem: string; readonly below: string; readonly isRoot: boolean }[] = (
    children.get(null) ?? []
  )
    .map(item => ({ item, stem: '', below: '', isRoot: true }))
    .reverse();
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { item, stem, below } = next;
    rows.push({ isRoot: next.isRoot, stem, item });
    const own = children.get(idOf(item)) ?? [];
    if (own.length === 1) waiting.push({ item: own[0]!, stem: below, below, isRoot: false });
    else
      for (const [index, child] of [...own.entries()].reverse()) {
        const last = index === own.length - 1;
        waiting.push({
          item: child,
          stem: `${below}${last ? '└─' : '├─'}`,
          below: `${below}${last ? '  ' : '│ '}`,
          isRoot: false,
        });
      }
  }
  return rows;
}

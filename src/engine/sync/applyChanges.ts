import type { BytePath } from '../../workspace/bytePath.ts';
import { type Excludes, IGNORE_FILES } from '../../workspace/excludes.ts';
import { type FolderNode, makeFolder, type Node } from './tree.ts';
import { type At, holding, inside, statOf, top, type Walk, walkEntry, walkFolder } from './walk.ts';

/** Changed paths as a tree of names: `true` where the path itself changed and all below it is in question. */
interface Changes {
  whole: boolean;
  readonly below: Map<BytePath, Changes>;
}

/** Looks at the changed paths and at nothing else. */
export function applyChanges(
  walk: Walk,
  known: FolderNode,
  excludes: Excludes,
  paths: Iterable<BytePath>,
): FolderNode | undefined {
  return updateFolder(walk, top(walk), known, excludes, collect(paths));
}

function collect(paths: Iterable<BytePath>): Changes {
  const root: Changes = { whole: false, below: new Map() };
  for (const path of paths) {
    let at = root;
    const names = path.split('/').filter(name => name !== '' && name !== '.');
    for (const [index, name] of names.entries()) {
      // Rules that changed put everything beside them in question.
      if (index === names.length - 1 && (IGNORE_FILES as readonly string[]).includes(name)) at.whole = true;
      let next = at.below.get(name);
      if (!next) {
        next = { whole: false, below: new Map() };
        at.below.set(name, next);
      }
      at = next;
    }
    at.whole = true;
  }
  return root;
}

function updateFolder(
  walk: Walk,
  at: At,
  known: FolderNode,
  outer: Excludes,
  changes: Changes,
): FolderNode | undefined {
  if (changes.whole) return walkFolder(walk, at, known, outer);
  return holding(walk, at, folder => {
    const excludes = outer.inside(at.path, known.ignores);
    const entries = new Map(known.entries);
    for (const [name, below] of changes.below) {
      const node = updateEntry(walk, inside(at, folder, name), known.entries.get(name), excludes, below);
      if (node) entries.set(name, node);
      else entries.delete(name);
    }
    return makeFolder(folder.stats.mode & 0o7777, folder.stats.mtimeMs, entries, known.ignores);
  });
}

/** A folder we know, of which only something below changed, is gone into; anything else is looked at as if new. */
function updateEntry(
  walk: Walk,
  at: At,
  known: Node | undefined,
  excludes: Excludes,
  changes: Changes,
): Node | undefined {
  const stats = statOf(walk, at);
  if (!stats) return undefined;
  if (stats.isDirectory() && known?.kind === 'folder' && !changes.whole) {
    return excludes.excludes(at.path, true) ? undefined : updateFolder(walk, at, known, excludes, changes);
  }
  return walkEntry(walk, at, known, excludes, stats.isDirectory() ? 'directory' : 'other');
}

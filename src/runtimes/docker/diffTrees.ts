import type { DiffEntry } from '../../protocol/schemas/files.ts';
import { normal, notThere, shown, type Tree, type TreeEntry } from './tree.ts';

/**
 * What differs between two images, both known entry by entry. M: content, mode, owner or a link's target; a file whose
 * time alone changed counts too, a folder's time never does. A path whose kind changed is D and A.
 */
export function diffTrees(before: Tree, after: Tree, from: string): readonly DiffEntry[] {
  const start = normal(from);
  const [old, now] = [before.look(start), after.look(start)];
  if (!old && !now) throw notThere(start);
  const entries: DiffEntry[] = [];
  const add = (change: DiffEntry['change'], old: TreeEntry | undefined, now: TreeEntry | undefined) => {
    const entry = (now ?? old)!;
    entries.push({
      path: shown(entry.path),
      change,
      type: entry.type,
      size: now?.type === 'file' ? now.size : 0,
      size_before: old?.type === 'file' ? old.size : 0,
    });
  };
  const whole = (tree: Tree, change: 'A' | 'D', entry: TreeEntry) => {
    if (change === 'A') add('A', undefined, entry);
    else add('D', entry, undefined);
    for (const child of tree.children(entry.path)) whole(tree, change, child);
  };
  const pair = (old: TreeEntry | undefined, now: TreeEntry | undefined) => {
    if (old && now && old.type === now.type) {
      if (old.path !== '/' && differs(old, now)) add('M', old, now);
      if (now.type === 'directory') folders(old.path);
      return;
    }
    if (old) whole(before, 'D', old);
    if (now && !isMountPoint(now, after)) whole(after, 'A', now);
  };
  const folders = (path: string) => {
    const names = new Map<string, [TreeEntry | undefined, TreeEntry | undefined]>();
    for (const entry of before.children(path)) names.set(entry.path, [entry, undefined]);
    for (const entry of after.children(path)) names.set(entry.path, [names.get(entry.path)?.[0], entry]);
    for (const path of [...names.keys()].sort()) pair(...names.get(path)!);
  };
  pair(old, now);
  return entries;
}

const mountPoints = new Set(['/dev', '/etc', '/proc', '/run', '/sys']);

/** Podman makes a folder for what it mounts where the image has none. */
const isMountPoint = (entry: TreeEntry, tree: Tree): boolean =>
  mountPoints.has(entry.path) &&
  entry.type === 'directory' &&
  tree.children(entry.path).every(child => child.path === '/run/secrets');

function differs(old: TreeEntry, now: TreeEntry): boolean {
  if (old.mode !== now.mode || old.uid !== now.uid || old.gid !== now.gid) return true;
  if (old.type === 'directory') return false;
  if (old.type === 'link') return old.link !== now.link;
  return old.size !== now.size || old.mtime !== now.mtime || old.hash !== now.hash;
}

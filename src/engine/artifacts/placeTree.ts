import * as fs from 'node:fs';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import { alreadyThere, type Destination, refuseHome } from './destination.ts';
import { placeOf, shown } from './entryName.ts';
import type { Folder, Node, StagedTree } from './stagedTree.ts';

interface Move {
  readonly steps: readonly string[];
  readonly node: Node;
}

/** One file to its final name. Without `overwrite` the kernel itself says whether the name was free. */
export function placeFile(tree: StagedTree, name: string, destination: Destination, overwrite: boolean): void {
  const staged = placeOf(tree.folder, [name]);
  withFoldersAbove(destination.path, () => {
    if (overwrite) fs.renameSync(staged, destination.path);
    else explained(destination.path, () => fs.linkSync(staged, destination.path));
  });
}

/**
 * A folder to its final name, by one rename; or, where there is one already, each of its parts by one. Whatever stands
 * in the way is found before the first of them.
 */
export function placeFolder(tree: StagedTree, destination: Destination, overwrite: boolean, home: string): void {
  if (!destination.exists) {
    fs.chmodSync(tree.folder, 0o755);
    withFoldersAbove(destination.path, () =>
      explained(destination.path, () => fs.renameSync(tree.folder, destination.path)),
    );
    finishFolder(destination.path, [], tree.root);
    return;
  }
  const moves: Move[] = [];
  const { dev: device } = fs.statSync(tree.folder);
  planMerge(tree.root, [], { destination: destination.path, device, overwrite, home, moves });
  for (const { steps } of moves) fs.renameSync(placeOf(tree.folder, steps), placeOf(destination.path, steps));
  for (const { steps, node } of moves) if (node.kind === 'folder') finishFolder(destination.path, steps, node);
}

interface Merge {
  readonly destination: string;
  /** The disk that everything is on already: only there is a rename a rename. */
  readonly device: number;
  readonly overwrite: boolean;
  readonly home: string;
  readonly moves: Move[];
}

/** Folders that are there are gone into, but never through a link: it could lead anywhere. */
function planMerge(folder: Folder, at: readonly string[], merge: Merge): void {
  for (const [name, node] of folder.children) {
    const steps = [...at, name];
    const place = placeOf(merge.destination, steps);
    refuseHome(place.toString(), merge.home);
    const there = fs.lstatSync(place, { throwIfNoEntry: false });
    if (!there) merge.moves.push({ steps, node });
    else if (node.kind === 'folder' && there.isDirectory() && there.dev !== merge.device)
      throw otherDisk(place.toString());
    else if (node.kind === 'folder' && there.isDirectory()) planMerge(node, steps, merge);
    else if (node.kind === 'folder' || there.isDirectory() || !(there.isFile() || there.isSymbolicLink()))
      throw inTheWay(merge.destination, steps, node, there);
    else if (merge.overwrite) merge.moves.push({ steps, node });
    else throw alreadyThere(path.join(merge.destination, shown(steps.join('/'))));
  }
}

function otherDisk(place: string): CoppiceError {
  return new CoppiceError('unsupported', `${place} is on another disk than the folder above it`, {
    field: 'destination',
    fix: 'Download what belongs there by itself.',
    data: { path: place },
  });
}

function inTheWay(destination: string, steps: readonly string[], node: Node, there: fs.Stats): CoppiceError {
  const place = path.join(destination, shown(steps.join('/')));
  const what = there.isDirectory() ? 'a folder' : there.isSymbolicLink() ? 'a link' : 'no folder';
  return new CoppiceError('already_exists', `${place} is ${what}, and a ${node.kind} is to be put there`, {
    field: 'destination',
    fix: 'Move it away, or choose another destination.',
    data: { path: place },
  });
}

/** Modes and times of folders come last: putting things into one changes its time, and its mode may forbid it. */
function finishFolder(destination: string, steps: readonly string[], folder: Folder): void {
  for (const [name, node] of folder.children)
    if (node.kind === 'folder') finishFolder(destination, [...steps, name], node);
  const place = placeOf(destination, steps);
  if (folder.mtime) fs.utimesSync(place, folder.mtime, folder.mtime);
  fs.chmodSync(place, folder.mode ?? 0o755);
}

/** As private as the folder they are made in; taken away again when `work` fails. */
function withFoldersAbove(place: string, work: () => void): void {
  const missing: string[] = [];
  let above = path.dirname(place);
  for (; !fs.existsSync(above); above = path.dirname(above)) missing.unshift(above);
  const mode = (fs.statSync(above).mode & 0o755) | 0o700;
  const made: string[] = [];
  try {
    for (const folder of missing) {
      fs.mkdirSync(folder);
      made.unshift(folder);
      fs.chmodSync(folder, mode);
    }
    work();
  } catch (error) {
    for (const folder of made) fs.rmdirSync(folder);
    throw error;
  }
}

function explained(place: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw code === 'EEXIST' || code === 'ENOTEMPTY' || code === 'ENOTDIR' ? alreadyThere(place) : error;
  }
}

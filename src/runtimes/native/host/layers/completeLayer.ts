import * as fs from 'node:fs';
import * as path from 'node:path';
import { byDescriptor, LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { RootedError } from '../../../../paths/rootedFolder.ts';
import { CoppiceError } from '../../../../protocol/errors.ts';
import { bytes, text } from './bytePaths.ts';
import { at, folderOf, inFolder, nameOf } from './heldFolders.ts';
import { type Mark, makeMarks } from './marks.ts';
import { mountView, type Overlays } from './mountPlan.ts';
import { TimeSlices } from './timeSlices.ts';
import type { Unpacked } from './unpack.ts';
import type { MissingLink } from './unpackedTree.ts';

export interface CompleteOptions {
  /** Roots of the layers below, topmost first. */
  readonly below: readonly string[];
  readonly overlays: Overlays;
  readonly scratch: string;
  readonly signal: AbortSignal;
}

interface Below {
  readonly view: LinuxRootedFolder;
  readonly roots: readonly string[];
}

/**
 * What a layer leaves to those below it: folders that no entry names look as they did, and a second name for a file of
 * theirs is one of that very file.
 */
export async function completeLayer(folder: string, unpacked: Unpacked, options: CompleteOptions): Promise<void> {
  if (options.below.length === 0) {
    if (unpacked.missingLinks.length > 0) throw missing(unpacked.missingLinks[0]!);
    return;
  }
  const view = fs.mkdtempSync(path.join(options.scratch, 'l'));
  await mountView(options.overlays, view, options.below);
  const below: Below = { view: new LinuxRootedFolder(view), roots: options.below };
  const layer = new LinuxRootedFolder(folder);
  try {
    const slices = new TimeSlices(options.signal);
    const times: Mark[] = [];
    for (const link of unpacked.missingLinks) times.push(linkBelow(below, layer, link));
    for (const place of unpacked.implied) {
      const time = resemble(below.view, layer, place);
      if (time !== undefined) times.push(time);
      const pause = slices.pause();
      if (pause) await pause;
    }
    await makeMarks(times, options.signal);
  } finally {
    below.view.close();
    layer.close();
    await options.overlays.unmount(view);
    fs.rmdirSync(view);
  }
}

function resemble(below: LinuxRootedFolder, layer: LinuxRootedFolder, place: string): Mark | undefined {
  const there = look(below, place);
  if (!there?.isDirectory()) return undefined;
  return layer.at(bytes(place), {}, here => {
    if (!fs.lstatSync(here).isDirectory()) return undefined;
    fs.lchownSync(here, Number(there.uid), Number(there.gid));
    fs.chmodSync(here, Number(there.mode) & 0o7777);
    return timeMark(layer, place, there);
  });
}

/** Answers what sets the time of the folder back. */
function linkBelow(below: Below, layer: LinuxRootedFolder, link: MissingLink): Mark {
  const folder = folderOf(link.place);
  const before = look(layer, folder)!;
  const name = link.place.slice(folder === '' ? 0 : folder.length + 1);
  const into = layer.openFolder(bytes(folder));
  try {
    const target = at({ fd: into, place: folder }, name);
    // Its own by now: another missing link came first.
    if (look(layer, link.target) !== undefined) layer.at(bytes(link.target), {}, from => fs.linkSync(from, target));
    else linkFile(below, link, target);
    return timeMark(layer, folder, before);
  } finally {
    fs.closeSync(into);
  }
}

/** The file itself, in whichever layer has it: it keeps all its attributes and takes no room. */
function linkFile(below: Below, link: MissingLink, target: fs.PathLike): void {
  const shown = look(below.view, link.target);
  // A whiteout of a single layer below is shown as it lies there.
  if (shown === undefined || shown.isDirectory() || shown.isCharacterDevice()) throw missing(link);
  const place = realPlace(below.view, link.target);
  for (const root of below.roots) {
    const layer = new LinuxRootedFolder(root);
    try {
      const found = look(layer, place);
      if (found === undefined || !isSame(found, shown) || realPlace(layer, place) !== place) continue;
      layer.at(bytes(place), {}, from => fs.linkSync(from, target));
      return;
    } finally {
      layer.close();
    }
  }
  throw missing(link);
}

function isSame(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.mode === b.mode && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

function timeMark(root: LinuxRootedFolder, place: string, { mtimeNs }: fs.BigIntStats): Mark {
  const nanos = ((mtimeNs % billion) + billion) % billion;
  const time = { seconds: Number((mtimeNs - nanos) / billion), nanos: Number(nanos) };
  return {
    kind: 'time',
    path: place === '' ? realPath(root, '') : inFolder(realPath(root, folderOf(place)), nameOf(place)),
    time,
  };
}

const billion = 1_000_000_000n;

/** Below the root, no link in it but perhaps the last. */
function realPlace(root: LinuxRootedFolder, name: string): string {
  const top = realPath(root, '');
  return inFolder(realPath(root, folderOf(name)).slice(top.length + 1), nameOf(name));
}

function realPath(root: LinuxRootedFolder, folder: string): string {
  const fd = root.openFolder(bytes(folder));
  try {
    return fs.readlinkSync(byDescriptor(fd), { encoding: 'buffer' }).toString('latin1');
  } finally {
    fs.closeSync(fd);
  }
}

function look(root: LinuxRootedFolder, place: string): fs.BigIntStats | undefined {
  try {
    return root.at(bytes(place), {}, here => fs.lstatSync(here, { bigint: true }));
  } catch (error) {
    if (error instanceof RootedError) return undefined;
    throw error;
  }
}

function missing(link: MissingLink): CoppiceError {
  return new CoppiceError(
    'import_failed',
    `the image cannot be unpacked: ${text(link.place)} is a link to ${text(link.target)}, which is not there`,
  );
}

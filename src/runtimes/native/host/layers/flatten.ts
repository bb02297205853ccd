import * as fs from 'node:fs';
import { bytes, look, namesOf, text } from './bytePaths.ts';
import { below, type MountPlan, mountPlan, type Overlays } from './mountPlan.ts';
import { TimeSlices } from './timeSlices.ts';

export interface FlattenOptions {
  /** Roots of the layers to merge, topmost first. */
  readonly sources: readonly string[];
  /** What lies below them. */
  readonly base: MountPlan;
  /** Both together. */
  readonly merged: MountPlan;
  /** An empty folder that becomes the merged layer, on the file system of the sources. */
  readonly target: string;
  /** An empty folder for mount points and work folders. */
  readonly scratch: string;
  readonly work: string;
  readonly overlays: Overlays;
}

/**
 * Merges layers into one that shows the same above the same base. No data is copied.
 *
 * First the folders and what is missing, through a writable mount of the base, so that the kernel itself writes its
 * whiteouts and opaque marks. Then the files: hard links, put in where the mount had its upper folder.
 */
export async function flatten(options: FlattenOptions): Promise<void> {
  const { base, merged, target, scratch, overlays } = options;
  const view = `${scratch}/merged`;
  const writable = `${scratch}/base`;
  for (const folder of [view, writable]) fs.mkdirSync(folder);
  for (const point of ['', ...base.tops.map(top => top.name)]) {
    fs.mkdirSync(below(target, point), { recursive: true });
    fs.mkdirSync(workFolder(options.work, point));
  }
  await mountPlan(overlays, merged, view);
  try {
    await mountPlan(overlays, base, writable, { upper: target, work: name => workFolder(options.work, name) });
    try {
      await everyTop(options, (name, layers, skip) => shapeFolder(at(options, name), layers, skip, true));
    } finally {
      await overlays.unmount(writable);
    }
    await everyTop(options, async (name, layers, skip) => {
      const place = at(options, name);
      await linkFiles(place, layers, skip);
      copyAttributes(place.target, look(place.merged)!);
    });
  } finally {
    await overlays.unmount(view);
    for (const folder of [view, writable]) fs.rmdirSync(folder);
  }
  for (const top of base.tops) removeIfBare(below(target, top.name));
}

/** Byte paths. */
interface Place {
  /** In the view of all. */
  readonly merged: string;
  /** In the writable mount of the base. */
  readonly base: string;
  /** In the new layer. */
  readonly target: string;
}

function at(options: FlattenOptions, name: string): Place {
  return {
    merged: below(`${options.scratch}/merged`, name),
    base: below(`${options.scratch}/base`, name),
    target: below(options.target, name),
  };
}

function into(place: Place, name: string): Place {
  return { merged: `${place.merged}/${name}`, base: `${place.base}/${name}`, target: `${place.target}/${name}` };
}

async function everyTop(
  { sources, base }: FlattenOptions,
  use: (name: string, layers: readonly string[], skip: ReadonlySet<string>) => Promise<void>,
): Promise<void> {
  await use('', sources, new Set(base.tops.map(top => top.name)));
  for (const { name } of base.tops) await use(name, foldersOf(sources, name), new Set());
}

const slices = () => new TimeSlices();

/** Folders as they are in the merged view, and nothing of the base that is not in it. `top`: a mount point stays. */
async function shapeFolder(
  place: Place,
  layers: readonly string[],
  skip: ReadonlySet<string>,
  top = false,
  pacing = slices(),
): Promise<void> {
  if (layers.length === 0) return;
  const pause = pacing.pause();
  if (pause) await pause;
  hideMissing(place, top);
  for (const name of namesIn(layers).keys()) {
    if (skip.has(name)) continue;
    const next = into(place, name);
    const merged = look(next.merged);
    if (merged === undefined) continue;
    const there = look(next.base);
    if (!merged.isDirectory()) {
      // A file hides a folder only where a whiteout stood first.
      if (there?.isDirectory()) fs.rmSync(bytes(next.base), { recursive: true });
      continue;
    }
    if (there !== undefined && !there.isDirectory()) fs.unlinkSync(bytes(next.base));
    if (!there?.isDirectory()) fs.mkdirSync(bytes(next.base));
    await shapeFolder(next, foldersOf(layers, name), new Set(), false, pacing);
    copyAttributes(next.base, merged);
  }
}

function hideMissing(place: Place, top: boolean): void {
  const shown = new Set(namesOf(place.merged));
  const there = namesOf(place.base);
  const missing = there.filter(name => !shown.has(name));
  for (const name of missing) fs.rmSync(bytes(`${place.base}/${name}`), { recursive: true });
  if (missing.length === 0 || missing.length < there.length || top) return;
  // Nothing of the base is left: made anew the folder is opaque, in place of a whiteout for each name.
  fs.rmdirSync(bytes(place.base));
  fs.mkdirSync(bytes(place.base));
}

/** Its time is set in any case: that makes the kernel copy the folder up. */
function copyAttributes(place: string, from: fs.Stats): void {
  const there = look(place)!;
  if (there.uid !== from.uid || there.gid !== from.gid) fs.lchownSync(bytes(place), from.uid, from.gid);
  if ((there.mode & 0o7777) !== (from.mode & 0o7777) || there.uid !== from.uid)
    fs.chmodSync(bytes(place), from.mode & 0o7777);
  setTimes(place, from);
}

/** As seconds: a Date would lose what is below a millisecond. */
function setTimes(place: string, from: fs.Stats): void {
  fs.utimesSync(bytes(place), from.atimeMs / 1000, from.mtimeMs / 1000);
}

async function linkFiles(
  place: Place,
  layers: readonly string[],
  skip: ReadonlySet<string>,
  pacing = slices(),
): Promise<void> {
  for (const [name, layer] of namesIn(layers)) {
    if (skip.has(name)) continue;
    const pause = pacing.pause();
    if (pause) await pause;
    const next = into(place, name);
    const merged = look(next.merged);
    if (merged === undefined) continue;
    if (merged.isDirectory()) {
      await linkFiles(next, foldersOf(layers, name), new Set(), pacing);
      setTimes(next.target, merged);
    } else linkFrom(`${layer}/${name}`, next, merged);
  }
}

/** What a merged view shows of a touched name is what the topmost layer has that names it. */
function linkFrom(source: string, place: Place, merged: fs.Stats): void {
  const stats = look(source)!;
  if (stats.mode !== merged.mode || stats.size !== merged.size || stats.mtimeMs !== merged.mtimeMs)
    throw new Error(`${text(place.merged)} is not what ${text(source)} is: the layers were not merged`);
  fs.rmSync(bytes(place.target), { force: true });
  fs.linkSync(bytes(source), bytes(place.target));
}

/** Every name with the topmost layer that has it. */
function namesIn(layers: readonly string[]): Map<string, string> {
  const topmost = new Map<string, string>();
  for (const layer of layers) for (const name of namesOf(layer)) if (!topmost.has(name)) topmost.set(name, layer);
  return topmost;
}

/** Those that have a folder of that name. */
function foldersOf(layers: readonly string[], name: string): string[] {
  return layers.map(layer => `${layer}/${name}`).filter(folder => look(folder)?.isDirectory());
}

function workFolder(work: string, point: string): string {
  return `${work}/w${point}`;
}

function removeIfBare(folder: string): void {
  if (fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
}

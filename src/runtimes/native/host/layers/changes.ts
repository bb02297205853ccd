import * as fs from 'node:fs';
import * as path from 'node:path';
import { entriesOf, look, namesOf } from './bytePaths.ts';
import { below, type MountPlan, type MountPoint, mountPoints, mountView, type Overlays } from './mountPlan.ts';

/**
 * Did a run write anything? Looks at what lies in its upper folder and never walks what is below. Any file, link or
 * whiteout is a change. Folders are harder: the kernel copies a folder up when something in it is made and removed
 * again, and a folder that was removed and made anew looks the same. Where the raw layers cannot tell, merged views do.
 */
export async function hasChanges(
  upper: string,
  plan: MountPlan,
  overlays: Overlays,
  scratch: string,
): Promise<boolean> {
  for (const point of mountPoints(plan)) {
    const doubts: string[] = [];
    const skip = new Set(point.name === '' ? plan.tops.map(top => top.name) : []);
    const raw: RawFolder = { place: below(upper, point.name), lowers: point.lower, exact: true };
    if (topDiffers(fs.lstatSync(raw.place), fs.lstatSync(point.lower[0]!))) return true;
    if (rawChange(raw, '', skip, doubts)) return true;
    if (doubts.length > 0 && (await viewsDiffer(point, raw.place, doubts, overlays, scratch))) return true;
  }
  return false;
}

interface RawFolder {
  readonly place: string;
  /** The folders of the same path in the layers below, topmost first; one that an opaque folder hides may be among them. */
  readonly lowers: readonly string[];
  /** None of `lowers` can be hidden by another. */
  readonly exact: boolean;
}

/** True: changed for sure. Paths that only a merged view can judge are added to `doubts`. */
function rawChange(folder: RawFolder, name: string, skip: ReadonlySet<string>, doubts: string[]): boolean {
  for (const entry of entriesOf(folder.place)) {
    if (skip.has(entry.name)) continue;
    if (!entry.isDirectory()) return true;
    const child = below(name, entry.name);
    const place = `${folder.place}/${entry.name}`;
    const lowers = lowerFolders(folder.lowers, entry.name);
    // New here, or in the place of something that was no folder.
    if (lowers === undefined || differs(look(place)!, look(lowers[0]!)!)) return true;
    if (!folder.exact || lowers.some(lower => namesOf(lower).length > 0)) doubts.push(child);
    if (rawChange({ place, lowers, exact: folder.exact && lowers.length === 1 }, child, new Set(), doubts)) return true;
  }
  return false;
}

function lowerFolders(lowers: readonly string[], name: string): string[] | undefined {
  const found: string[] = [];
  for (const lower of lowers) {
    const stats = look(`${lower}/${name}`);
    if (stats === undefined) continue;
    if (!stats.isDirectory()) break;
    found.push(`${lower}/${name}`);
  }
  return found.length === 0 ? undefined : found;
}

/** The top of an overlay was made for the run, not by it, mostly as the one below but at least like this. */
function topDiffers(upper: fs.Stats, lower: fs.Stats): boolean {
  return differs(upper, lower) && !((upper.mode & 0o7777) === 0o755 && upper.uid === 0 && upper.gid === 0);
}

function differs(a: fs.Stats, b: fs.Stats): boolean {
  return a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid;
}

async function viewsDiffer(
  point: MountPoint,
  upper: string,
  doubts: readonly string[],
  overlays: Overlays,
  scratch: string,
): Promise<boolean> {
  const folder = fs.mkdtempSync(path.join(scratch, 'c'));
  const mounted: string[] = [];
  const view = async (name: string, lower: readonly string[]) => {
    const place = path.join(folder, name);
    fs.mkdirSync(place);
    await mountView(overlays, place, lower);
    mounted.push(place);
    return place;
  };
  try {
    const before = await view('before', point.lower);
    const after = await view('after', [upper, ...point.lower]);
    return doubts.some(name => listingDiffers(`${before}/${name}`, `${after}/${name}`));
  } finally {
    void cleanUp(folder, mounted, overlays);
  }
}

/** Behind: nobody needs to wait for it. Were a mount still there, nothing below it must be deleted. */
async function cleanUp(folder: string, mounted: readonly string[], overlays: Overlays): Promise<void> {
  for (const place of mounted) {
    await overlays.unmount(place);
    fs.rmdirSync(place);
  }
  fs.rmdirSync(folder);
}

function listingDiffers(before: string, after: string): boolean {
  const stats = look(before);
  if (!stats?.isDirectory() || differs(stats, look(after)!)) return true;
  // No file was written anywhere, so what is there after was there before: only what went away can differ.
  return namesOf(before).length !== namesOf(after).length;
}

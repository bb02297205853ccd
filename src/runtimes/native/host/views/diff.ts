import * as fs from 'node:fs';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { DiffEntry } from '../../../../protocol/schemas/files.ts';
import { bytes, namesOf, text } from '../layers/bytePaths.ts';
import type { ImageData } from '../layers/imageData.ts';
import type { LayerStore } from '../layers/layerStore.ts';
import { below } from '../layers/mountPlan.ts';
import { TimeSlices } from '../layers/timeSlices.ts';
import { normal, typeOf } from './viewFiles.ts';
import type { Views } from './views.ts';

/**
 * What differs between two images. Only paths that a layer of one of them touches, and not those that both stand on,
 * are looked at, in merged views: a large base costs nothing, and images that share nothing are compared whole.
 *
 * M: content, mode, owner or a link's target; a file whose time alone changed counts too, a folder's time never does.
 * A path whose kind changed is D and A. What was added or removed is listed with everything in it.
 * What was laid under the child's run, its directory state and files, belongs to the ground it is compared with.
 */
export async function diffImages(
  views: Views,
  layers: LayerStore,
  parent: ImageData,
  child: ImageData,
  from: string,
  signal: AbortSignal | undefined,
): Promise<readonly DiffEntry[]> {
  const ground = groundOf(layers, parent, child);
  const touched = layers.touched(ground, child);
  return views.use(ground, before =>
    views.use(child, async after => {
      const diff = new Diff(parent.host !== child.host, signal);
      await diff.from(normal(from), { before: before.place, after: after.place, layers: touched });
      return diff.entries;
    }),
  );
}

/** The parent, with what was laid under the child's run: new to the parent, or moved up from further below. */
function groundOf(layers: LayerStore, parent: ImageData, child: ImageData): ImageData {
  const laid = child.laid.filter(id => child.layers.includes(id) && layers.has(id) && isAbove(id, parent, child));
  if (laid.length === 0) return parent;
  const moved = new Set(laid);
  // No layer may stand twice in a mount; a part of the chain that was merged has the moved one in it and stays whole.
  const mounted = layers.resolve(parent).layers;
  const below = mounted.some(id => moved.has(id)) ? mounted.filter(id => !moved.has(id)) : parent.layers;
  return { ...parent, layers: [...laid, ...below] };
}

/** Does the child have the layer above one that lies over it in the parent? */
function isAbove(id: string, parent: ImageData, child: ImageData): boolean {
  const inParent = parent.layers.indexOf(id);
  if (inParent < 0) return true;
  const inChild = child.layers.indexOf(id);
  return parent.layers.slice(0, inParent).some(other => child.layers.indexOf(other) > inChild);
}

interface Folders {
  readonly before: string;
  readonly after: string;
  /** The same folder in the layers that may have touched it. */
  readonly layers: readonly string[];
}

/** Byte paths, used as they are: each step was seen to be a folder, and nothing of it changes any more. */
class Diff {
  readonly entries: DiffEntry[] = [];
  /** No common ground at all: the machine's folders are in no layer. */
  readonly #unrelated: boolean;
  readonly #slices: TimeSlices;

  constructor(unrelated: boolean, signal: AbortSignal | undefined) {
    this.#unrelated = unrelated;
    this.#slices = new TimeSlices(signal);
  }

  async from(start: string, roots: Folders): Promise<void> {
    const steps = Buffer.from(start)
      .toString('latin1')
      .split('/')
      .filter(step => step !== '');
    const last = steps.pop();
    if (last === undefined) return this.#folder('', roots);
    let folders = roots;
    for (const step of steps) folders = into(folders, step);
    const before = look(`${folders.before}/${last}`);
    const after = look(`${folders.after}/${last}`);
    if (before === undefined && after === undefined) {
      throw new CoppiceError('path_not_found', `${start} is in neither image`, { data: { path: start } });
    }
    if (this.#unrelated || folders.layers.some(layer => look(`${layer}/${last}`) !== undefined))
      await this.#pair(Buffer.from(start).toString('latin1'), before, after, into(folders, last));
  }

  async #folder(name: string, folders: Folders): Promise<void> {
    const names = new Set(folders.layers.flatMap(namesOf));
    this.#addUnnamed(names, folders.before, folders.after);
    this.#addUnnamed(names, folders.after, folders.before);
    for (const entry of [...names].sort()) {
      const pause = this.#slices.pause();
      if (pause) await pause;
      const before = look(`${folders.before}/${entry}`);
      const after = look(`${folders.after}/${entry}`);
      await this.#pair(`${name}/${entry}`, before, after, into(folders, entry));
    }
  }

  /**
   * A layer may hide all of a folder that was there before (removed and made anew) without naming what it hides. Then
   * whatever no layer names is gone, so the first such name tells.
   */
  #addUnnamed(names: Set<string>, here: string, there: string): void {
    const folder = openFolder(here);
    if (folder === undefined) return;
    try {
      for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) {
        if (names.has(entry.name)) continue;
        if (!this.#unrelated && look(`${there}/${entry.name}`) !== undefined) return;
        names.add(entry.name);
      }
    } finally {
      folder.closeSync();
    }
  }

  async #pair(name: string, before: Seen | undefined, after: Seen | undefined, at: Folders): Promise<void> {
    if (before !== undefined && after !== undefined && typeOf(before) === typeOf(after)) {
      if (differs(before, after, at)) this.#add('M', name, before, after);
      if (after.isDirectory()) await this.#folder(name, at);
      return;
    }
    if (before !== undefined) await this.#whole('D', name, before, at.before);
    if (after !== undefined) await this.#whole('A', name, after, at.after);
  }

  async #whole(change: 'A' | 'D', name: string, seen: Seen, place: string): Promise<void> {
    this.#add(change, name, change === 'D' ? seen : undefined, change === 'A' ? seen : undefined);
    if (!seen.isDirectory()) return;
    for (const entry of readable(place).sort()) {
      const pause = this.#slices.pause();
      if (pause) await pause;
      const next = look(`${place}/${entry}`);
      if (next !== undefined) await this.#whole(change, `${name}/${entry}`, next, `${place}/${entry}`);
    }
  }

  #add(change: DiffEntry['change'], path: string, before: Seen | undefined, after: Seen | undefined): void {
    this.entries.push({
      path: text(path),
      change,
      type: typeOf((after ?? before)!),
      size: sizeOf(after),
      size_before: sizeOf(before),
    });
  }
}

type Seen = fs.BigIntStats;

function look(place: string): Seen | undefined {
  try {
    return fs.lstatSync(bytes(place), { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    // One of the folders above is a file in this image.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function into(folders: Folders, name: string): Folders {
  return {
    before: `${folders.before}/${name}`,
    after: `${folders.after}/${name}`,
    layers: folders.layers.map(layer => below(layer, name)).filter(layer => look(layer)?.isDirectory()),
  };
}

function openFolder(place: string): fs.Dir | undefined {
  try {
    return fs.opendirSync(bytes(place), { encoding: 'latin1' as BufferEncoding });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    throw error;
  }
}

function readable(place: string): string[] {
  try {
    return namesOf(place);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return [];
    throw error;
  }
}

function differs(before: Seen, after: Seen, at: Folders): boolean {
  if (before.mode !== after.mode || before.uid !== after.uid || before.gid !== after.gid) return true;
  if (before.isDirectory()) return false;
  if (before.isSymbolicLink())
    return !fs.readlinkSync(bytes(at.before), 'buffer').equals(fs.readlinkSync(bytes(at.after), 'buffer'));
  return before.size !== after.size || before.mtimeNs !== after.mtimeNs || before.rdev !== after.rdev;
}

function sizeOf(seen: Seen | undefined): number {
  return seen?.isFile() ? Number(seen.size) : 0;
}

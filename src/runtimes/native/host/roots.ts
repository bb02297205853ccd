import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { RuntimeImage } from '../../runtime.ts';
import type { LayerStore } from './layers/layerStore.ts';
import { type MountPlan, mountPlan, mountPoints } from './layers/mountPlan.ts';
import type { Mounts } from './mounts.ts';
import { bundlePath, runPath, runsPath, stagingPath, upperPath } from './paths.ts';

/** A sandbox's folders with its root and what lies over it mounted, and the layers below held in place. */
export interface Root {
  /** Lets the layers go; the mount and the folders are the sandbox's. */
  unpin(): void;
}

interface Spare extends Root {
  readonly name: string;
}

const maxSpares = 4;
const prefix = 'spare-';

/** Makes the writable root of a sandbox, and keeps one ready for each image that was lately run. */
export class Roots {
  readonly #mounts: Mounts;
  readonly #layers: LayerStore;
  readonly #log: (line: string) => void;
  /** By the image's layers, least recently wanted first. */
  readonly #spares = new Map<string, Promise<Spare>>();
  readonly #names = new Set<string>();

  constructor(mounts: Mounts, layers: LayerStore, log: (line: string) => void) {
    this.#mounts = mounts;
    this.#layers = layers;
    this.#log = log;
    // Those of a host that is gone.
    for (const name of readdirSync(runsPath).filter(name => name.startsWith(prefix))) {
      rmSync(runPath(name), { recursive: true, force: true });
    }
  }

  /** Of spares: their folders lie among those of sandboxes. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  async take(sandbox: string, image: RuntimeImage): Promise<Root> {
    const key = keyOf(image);
    const spare = this.#spares.get(key);
    this.#spares.delete(key);
    const ready = await spare?.catch(() => undefined);
    if (!ready) return this.#make(sandbox, image);
    // An overlay keeps to the folders it was mounted with, whatever they are called.
    renameSync(runPath(ready.name), runPath(sandbox));
    renameSync(bundlePath(ready.name), bundlePath(sandbox));
    this.#names.delete(ready.name);
    return ready;
  }

  /** For the next sandbox of that image, made now that nobody waits for it. */
  prepare(image: RuntimeImage): void {
    const key = keyOf(image);
    if (this.#spares.has(key)) return;
    const name = `${prefix}${randomUUID()}`;
    this.#names.add(name);
    const spare = this.#make(name, image).then(root => ({ ...root, name }));
    spare.catch((error: Error) => {
      this.#names.delete(name);
      if (this.#spares.get(key) === spare) this.#spares.delete(key);
      this.#log(`no root was made ahead for ${image.uuid}: ${error.message}`);
    });
    this.#spares.set(key, spare);
    for (const [oldest, old] of this.#spares) {
      if (this.#spares.size <= maxSpares) break;
      this.#spares.delete(oldest);
      void this.#drop(old);
    }
  }

  /** Layers are about to go: no spare holds on to them. */
  async dropSpares(): Promise<void> {
    const spares = [...this.#spares.values()];
    this.#spares.clear();
    await Promise.all(spares.map(spare => this.#drop(spare)));
  }

  /** Deletes what is left of a sandbox's folders, when its root is unmounted. */
  async clear(name: string): Promise<void> {
    // Fails when something is still mounted there: deleting through a mount would write into what it shows.
    removeIfThere(path.join(bundlePath(name), 'rootfs'));
    rmSync(bundlePath(name), { recursive: true, force: true });
    if (!existsSync(runPath(name))) return;
    const gone = path.join(stagingPath, `run-${randomUUID()}`);
    renameSync(runPath(name), gone);
    if (!removeIfUnwritten(gone)) await rm(gone, { recursive: true, force: true });
  }

  async #make(name: string, image: RuntimeImage): Promise<Root> {
    const unpin = this.#layers.pin(image);
    try {
      const plan = this.#layers.prepare(image);
      const rootfs = path.join(bundlePath(name), 'rootfs');
      mkdirSync(rootfs, { recursive: true });
      makeWritable(runPath(name), plan);
      const points = mountPoints(plan).map(point => point.name);
      const work = (point: string) => path.join(runPath(name), 'work', String(points.indexOf(point)));
      await mountPlan(this.#mounts, plan, rootfs, { upper: upperPath(name), work });
      return { unpin };
    } catch (error) {
      unpin();
      await this.clear(name);
      throw error;
    }
  }

  async #drop(spare: Promise<Spare>): Promise<void> {
    try {
      const { name, unpin } = await spare;
      await this.#mounts.unmount(path.join(bundlePath(name), 'rootfs'));
      unpin();
      await this.clear(name);
      this.#names.delete(name);
    } catch (error) {
      this.#log(`a root made ahead was not dropped: ${(error as Error).message}`);
    }
  }
}

/** `upper` and a `work` folder per overlay; folders that carry an overlay of their own look like the machine's. */
export function makeWritable(folder: string, plan: MountPlan): void {
  const upper = path.join(folder, 'upper');
  mkdirSync(upper, { recursive: true, mode: 0o755 });
  mkdirSync(path.join(folder, 'work', '0'), { recursive: true });
  plan.tops.forEach((top, index) => {
    mkdirSync(path.join(upper, top.name), { mode: statSync(top.lower[0]!).mode & 0o7777 });
    mkdirSync(path.join(folder, 'work', String(index + 1)));
  });
}

function keyOf(image: RuntimeImage): string {
  return JSON.stringify(image.data);
}

/** Most runs write nothing: that is a handful of calls, too few to hand to other threads. */
function removeIfUnwritten(run: string): boolean {
  const upper = path.join(run, 'upper');
  try {
    for (const name of ['work', 'etc']) rmSync(path.join(run, name), { recursive: true, force: true });
    if (existsSync(upper)) for (const name of readdirSync(upper)) rmdirSync(path.join(upper, name));
    removeIfThere(upper);
    rmdirSync(run);
    return true;
  } catch {
    // Then it is deleted at leisure, and that tells what is wrong.
    return false;
  }
}

function removeIfThere(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

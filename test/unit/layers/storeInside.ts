import * as fs from 'node:fs';
import * as path from 'node:path';
import { Imports } from '../../../src/runtimes/native/host/layers/imports.ts';
import { LayerStore } from '../../../src/runtimes/native/host/layers/layerStore.ts';
import { mountPlan } from '../../../src/runtimes/native/host/layers/mountPlan.ts';
import { Unpackers } from '../../../src/runtimes/native/host/layers/unpackers.ts';
import { Mounts } from '../../../src/runtimes/native/host/mounts.ts';
import { Views } from '../../../src/runtimes/native/host/views/views.ts';
import type { RuntimeImage } from '../../../src/runtimes/runtime.ts';
import { inside } from './insideNamespace.ts';

const unpackScript = path.join(import.meta.dirname, '../../../src/runtimes/native/host/layers/unpackWorker.ts');

/** A store in the namespace's folder, and runs that are plain changes made through a mount instead of a container. */
export class StoreInside {
  readonly overlays = new Mounts();
  readonly folder: string;
  readonly store: LayerStore;
  readonly imports: Imports;
  readonly views: Views;
  readonly log: string[] = [];
  readonly #unpackers = new Unpackers(unpackScript);
  #runs = 0;

  constructor(name: string) {
    this.folder = path.join(inside!, name);
    fs.mkdirSync(this.folder, { recursive: true });
    this.store = this.open();
    this.views = this.openViews('views');
    this.imports = new Imports({
      store: this.store,
      unpackers: this.#unpackers,
      overlays: this.overlays,
      scratch: path.join(this.folder, 'scratch'),
    });
  }

  open(): LayerStore {
    return new LayerStore({
      layers: path.join(this.folder, 'layers'),
      meta: path.join(this.folder, 'meta'),
      runs: path.join(this.folder, 'runs'),
      staging: path.join(this.folder, 'staging'),
      scratch: path.join(this.folder, 'scratch'),
      overlays: this.overlays,
      home: this.folder,
      log: line => this.log.push(line),
    });
  }

  openViews(name: string): Views {
    return new Views({
      folder: path.join(this.folder, name),
      overlays: this.overlays,
      layers: this.store,
      log: line => this.log.push(line),
    });
  }

  /** The upper folder after `write` ran in the image's root. */
  async run(image: RuntimeImage, write: (root: string) => void): Promise<string> {
    const run = path.join(this.folder, 'runs', String(this.#runs++));
    const root = path.join(run, 'root');
    const plan = this.store.prepare(image);
    const upper = path.join(run, 'upper');
    for (const name of ['', ...plan.tops.map(top => top.name)]) {
      fs.mkdirSync(path.join(upper, name), { recursive: true });
      fs.mkdirSync(path.join(run, `work-${name}`));
    }
    fs.mkdirSync(root);
    await mountPlan(this.overlays, plan, root, { upper, work: name => path.join(run, `work-${name}`) });
    try {
      write(root);
    } finally {
      await this.overlays.unmount(root);
    }
    return upper;
  }

  async commit(uuid: string, image: RuntimeImage, write: (root: string) => void): Promise<RuntimeImage> {
    const upper = await this.run(image, write);
    const made = await this.store.commitUpper(uuid, upper, image);
    if (made === 'unchanged') throw new Error(`${uuid}: nothing changed`);
    return { uuid, data: made.data };
  }

  host(): RuntimeImage {
    return { uuid: 'host', data: this.store.importHost().data };
  }

  /** Looks at an image through a mount of its own. */
  async look<T>(image: RuntimeImage, use: (root: string) => T): Promise<T> {
    const root = fs.mkdtempSync(path.join(this.folder, 'look-'));
    const plan = this.store.prepare(image);
    await mountPlan(this.overlays, plan, root);
    try {
      return use(root);
    } finally {
      await this.overlays.unmount(root);
      fs.rmdirSync(root);
    }
  }

  close(): void {
    this.overlays.close();
    this.#unpackers.close();
  }
}

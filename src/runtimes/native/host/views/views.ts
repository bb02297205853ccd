import * as fs from 'node:fs';
import * as path from 'node:path';
import { LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import type { DiffEntry } from '../../../../protocol/schemas/files.ts';
import type { RuntimeImage } from '../../../runtime.ts';
import { type ImageData, imageData } from '../layers/imageData.ts';
import type { LayerStore } from '../layers/layerStore.ts';
import { mountPlan, type Overlays } from '../layers/mountPlan.ts';
import { diffImages } from './diff.ts';
import { ViewFiles } from './viewFiles.ts';

export interface ViewsOptions {
  /** Mount points are made here; a short path. */
  readonly folder: string;
  readonly overlays: Overlays;
  readonly layers: LayerStore;
  readonly log: (line: string) => void;
}

const maxViews = 32;

/** An image as one read-only tree. */
export interface View {
  readonly place: string;
  readonly root: LinuxRootedFolder;
}

interface MountedView {
  readonly place: string;
  readonly layers: readonly string[];
  readonly opened: Promise<View>;
  users: number;
  dropped: boolean;
}

/** Read-only mounts of images, the last few kept: nothing needs to run for an image to be looked at. */
export class Views {
  readonly #options: ViewsOptions;
  /** Least recently used first. */
  readonly #views = new Map<string, MountedView>();
  #made = 0;

  constructor(options: ViewsOptions) {
    this.#options = options;
    fs.mkdirSync(options.folder, { recursive: true });
    options.layers.onRemove(layers => this.#forget(layers));
  }

  files(image: RuntimeImage): ViewFiles {
    return new ViewFiles(image.uuid, use => this.use(imageData(image), use));
  }

  diff(parent: RuntimeImage, child: RuntimeImage, from: string, signal?: AbortSignal): Promise<readonly DiffEntry[]> {
    return diffImages(this, this.#options.layers, imageData(parent), imageData(child), from, signal);
  }

  /** The view stays mounted until `use` is done. */
  async use<T>(image: ImageData, use: (view: View) => T | Promise<T>): Promise<T> {
    const mounted = this.#mounted(image);
    mounted.users++;
    try {
      return await use(await mounted.opened);
    } finally {
      mounted.users--;
      if (mounted.dropped) this.#close(mounted);
      this.#shrink();
    }
  }

  #mounted(image: ImageData): MountedView {
    const key = `${image.host ? 'host' : 'rootfs'}:${image.layers.join(':')}`;
    let view = this.#views.get(key);
    this.#views.delete(key);
    view ??= this.#mount(image, key);
    this.#views.set(key, view);
    return view;
  }

  #mount(image: ImageData, key: string): MountedView {
    const plan = this.#options.layers.plan(image);
    const place = path.join(this.#options.folder, (this.#made++).toString(36));
    const open = async (): Promise<View> => {
      fs.mkdirSync(place);
      try {
        await mountPlan(this.#options.overlays, plan, place);
        return { place, root: new LinuxRootedFolder(place) };
      } catch (error) {
        this.#views.delete(key);
        fs.rmdirSync(place);
        throw error;
      }
    };
    return {
      place,
      layers: this.#options.layers.resolve(image).layers,
      opened: open(),
      users: 0,
      dropped: false,
    };
  }

  /** Layers are about to be deleted: no view shows them any longer. */
  #forget(layers: ReadonlySet<string>): void {
    for (const [key, view] of this.#views) {
      if (view.layers.some(id => layers.has(id))) this.#drop(key, view);
    }
  }

  #shrink(): void {
    for (const [key, view] of this.#views) {
      if (this.#views.size <= maxViews) return;
      if (view.users === 0) this.#drop(key, view);
    }
  }

  #drop(key: string, view: MountedView): void {
    this.#views.delete(key);
    view.dropped = true;
    this.#close(view);
  }

  #close(view: MountedView): void {
    if (view.users > 0) return;
    void view.opened
      .then(async ({ root }) => {
        root.close();
        // Lazily, which takes the mounts within along.
        await this.#options.overlays.unmount(view.place);
        fs.rmdirSync(view.place);
      })
      .catch((error: Error) => this.#options.log(`view ${view.place} was not closed: ${error.message}`));
  }
}

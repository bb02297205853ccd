import { execFile } from 'node:child_process';
import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { ImageConfig } from '../../../../protocol/schemas/images.ts';
import type { ImportedImage, RuntimeImage } from '../../../runtime.ts';
import { hostFingerprint, type MachineFolders, machineFolders } from '../../hostFingerprint.ts';
import { hasChanges } from './changes.ts';
import { type ImageData, imageData } from './imageData.ts';
import type { MountPlan, Overlays } from './mountPlan.ts';
import { hostStubs, makeStubs, rootfsStubs, stubsId } from './stubs.ts';
import { treeSize } from './treeSize.ts';

export interface LayerStoreOptions {
  /** The store's folders as the namespace host sees them, all on one file system. */
  readonly layers: string;
  readonly meta: string;
  readonly runs: string;
  /** For what is half made or half deleted; emptied at start. */
  readonly staging: string;
  /** A folder for short-lived mount points. */
  readonly scratch: string;
  readonly overlays: Overlays;
  /** Where the store is on the machine: no image may show it. */
  readonly home: string;
  readonly log: (line: string) => void;
}

/** What a layer's `<id>.json` says, so that the images could be found again without the engine's store. */
interface LayerMeta {
  readonly image: string;
  /** The next layer below that was committed or imported. */
  readonly parent: string | null;
  readonly laid: readonly string[];
  readonly host: boolean;
  readonly fingerprint: string | null;
  readonly created: string;
}

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The layers of all native images: immutable trees named by eight characters, and how to stack them. */
export class LayerStore {
  readonly #options: LayerStoreOptions;
  readonly #machine: MachineFolders;
  readonly #hostStubs: string;
  readonly #rootfsStubs: string;
  /** Which of the machine's folders a layer has; it never changes. */
  readonly #topsOf = new Map<string, ReadonlySet<string>>();
  #fingerprint: string | undefined;

  constructor(options: LayerStoreOptions) {
    this.#options = options;
    for (const folder of [options.layers, options.meta, options.runs, options.staging, options.scratch])
      fs.mkdirSync(folder, { recursive: true });
    this.#machine = machineFolders(options.home);
    this.#hostStubs = this.#ensureStubs(hostStubs(this.#machine));
    this.#rootfsStubs = this.#ensureStubs(rootfsStubs());
  }

  async importHost(_uuid: string): Promise<ImportedImage> {
    if (!this.#machine.folders.includes('usr')) {
      throw new CoppiceError('unsupported', `host: would show Coppice's own folder ${this.#options.home}`, {
        fix: 'Move COPPICE_HOME out of the system folders, or import a rootfs.',
      });
    }
    this.#fingerprint = this.identifyHost();
    const data: ImageData = { layers: [], laid: [], host: true };
    return { data, config: hostConfig(), size: 0, digest: this.#fingerprint };
  }

  identifyHost(): string {
    return hostFingerprint(this.#machine);
  }

  /** How to mount an image. Nothing is mounted or made by asking. */
  prepare(image: RuntimeImage): MountPlan {
    return this.plan(imageData(image));
  }

  /** The layers that are really mounted for an image: long chains have shorter ones that show the same. */
  resolve(image: ImageData): ImageData {
    return image;
  }

  /** Roots of the layers that one of the two images has above what both stand on. */
  touched(a: ImageData, b: ImageData): readonly string[] {
    const above = unshared(a, b);
    const layers = above.every(id => fs.existsSync(this.#layer(id)))
      ? above
      : unshared(this.resolve(a), this.resolve(b));
    return layers.map(id => this.#layer(id));
  }

  plan(image: ImageData): MountPlan {
    const layers = this.resolve(image).layers;
    for (const id of layers) this.#mustExist(id);
    const stubs = image.host ? this.#hostStubs : this.#rootfsStubs;
    const lowerRoot = [...layers, stubs].map(id => this.#layer(id));
    if (!image.host) return { lowerRoot, tops: [] };
    const tops = this.#machine.folders.map(name => ({
      name,
      lower: [
        ...[...layers, stubs].filter(id => this.#tops(id).has(name)).map(id => path.join(this.#layer(id), name)),
        `/${name}`,
      ],
    }));
    return { lowerRoot, tops };
  }

  /** Did the run on that image write into its upper folder? */
  changed(upper: string, image: RuntimeImage): Promise<boolean> {
    return hasChanges(upper, this.prepare(image), this.#options.overlays, this.#options.scratch);
  }

  /** What a dead run wrote becomes a layer: a rename. `image` is what it ran on, layers that were laid under it and all. */
  async commitUpper(
    uuid: string,
    upper: string,
    image: RuntimeImage,
  ): Promise<'unchanged' | { readonly data: ImageData; readonly size: number }> {
    if (!(await this.changed(upper, image))) return 'unchanged';
    const below = imageData(image);
    for (const top of below.host ? this.#machine.folders : []) removeIfEmpty(path.join(upper, top));
    const size = await treeSize(upper);
    const id = this.#newId();
    this.#writeMeta(id, {
      image: uuid,
      parent: below.layers.find(layer => !below.laid.includes(layer)) ?? null,
      laid: below.laid,
      host: below.host,
      fingerprint: below.host ? (this.#fingerprint ?? null) : null,
      created: new Date().toISOString(),
    });
    fs.renameSync(upper, this.#layer(id));
    this.#syncLater();
    return { data: { ...below, layers: [id, ...below.layers] }, size };
  }

  #mustExist(id: string): void {
    if (this.#topsOf.has(id) || fs.existsSync(this.#layer(id))) return;
    throw new CoppiceError('image_not_found', `layer ${id} of the image is gone from the native store`, {
      fix: 'Import or build the image again.',
    });
  }

  #tops(id: string): ReadonlySet<string> {
    let tops = this.#topsOf.get(id);
    if (tops === undefined) {
      const entries = fs.readdirSync(this.#layer(id), { withFileTypes: true });
      tops = new Set(entries.filter(entry => entry.isDirectory()).map(entry => entry.name));
      this.#topsOf.set(id, tops);
    }
    return tops;
  }

  #layer(id: string): string {
    return path.join(this.#options.layers, id);
  }

  #newId(): string {
    for (;;) {
      const id = `l${crypto.randomBytes(8).readBigUInt64BE().toString(36).padStart(13, '0').slice(-7)}`;
      if (!fs.existsSync(this.#layer(id))) return id;
    }
  }

  #ensureStubs(stubs: ReturnType<typeof rootfsStubs>): string {
    const id = stubsId(stubs);
    if (!fs.existsSync(this.#layer(id))) {
      const half = fs.mkdtempSync(path.join(this.#options.staging, 'stubs-'));
      fs.chmodSync(half, 0o755);
      makeStubs(half, stubs);
      fs.renameSync(half, this.#layer(id));
    }
    return id;
  }

  #writeMeta(id: string, meta: LayerMeta): void {
    const half = path.join(this.#options.staging, `${id}.json`);
    fs.writeFileSync(half, `${JSON.stringify(meta)}\n`);
    fs.renameSync(half, path.join(this.#options.meta, `${id}.json`));
  }

  /** The overlay was mounted `volatile`: nothing it wrote was forced to disk yet. */
  #syncLater(): void {
    void this.#sync().catch((error: Error) => this.#options.log(`sync of the layers failed: ${error.message}`));
  }

  async #sync(): Promise<void> {
    await promisify(execFile)('sync', ['-f', this.#options.layers]);
  }
}

function unshared(a: ImageData, b: ImageData): readonly string[] {
  const [one, other] = [[...a.layers], [...b.layers]];
  while (one.length > 0 && a.host === b.host && one.at(-1) === other.at(-1)) {
    one.pop();
    other.pop();
  }
  return [...new Set([...one, ...other])];
}

function hostConfig(): ImageConfig {
  return {
    env: { PATH: searchPath },
    cwd: '/',
    user: 'root',
    entrypoint: [],
    cmd: [],
    labels: {},
    architecture: architectureOf(process.arch),
  };
}

/** In the words of OCI images. */
function architectureOf(arch: NodeJS.Architecture): string {
  return arch === 'x64' ? 'amd64' : arch === 'ia32' ? '386' : arch;
}

function removeIfEmpty(folder: string): void {
  try {
    fs.rmdirSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

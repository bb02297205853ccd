import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { CoppiceError, toWireError } from '../../protocol/errors.ts';
import type { DiffEntry } from '../../protocol/schemas/files.ts';
import type {
  AdoptedRun,
  BuildSpec,
  ExportedLayer,
  ImageFiles,
  ImageSource,
  ImportedImage,
  ImportOptions,
  Probe,
  ProcessSpec,
  Runtime,
  RuntimeBuild,
  RuntimeImage,
  RuntimeSandbox,
  SandboxSpec,
} from '../runtime.ts';
import { DockerBuild } from './build.ts';
import { BuildCache } from './buildCache.ts';
import { Connection, type Dockerode } from './connect/connection.ts';
import { containerConfig } from './containerConfig.ts';
import { makeFolders } from './containerFiles.ts';
import { diffTrees } from './diffTrees.ts';
import { DockerFiles } from './dockerFiles.ts';
import { MainProcess } from './dockerProcess.ts';
import { DockerSandbox } from './dockerSandbox.ts';
import { SavedLayers } from './exports.ts';
import { Grounds } from './grounds.ts';
import { bytesOfItsOwn, Images, imageData, type MadeImage } from './images.ts';
import { identifySource, importSource } from './imports.ts';
import { idLabel, kindLabel, Names } from './names.ts';
import { type Joined, Pauses } from './pauses.ts';
import { Places } from './places.ts';
import { capabilitiesOf, noCapabilities } from './probe.ts';
import { InsideTools } from './tools.ts';

export interface DockerRuntimeOptions {
  /** COPPICE_HOME/docker. */
  readonly home: string;
  /** Where the daemon is, when it was said; else it is looked for. */
  readonly host: string | undefined;
  readonly load: () => Promise<Dockerode>;
  readonly log: (line: string) => void;
}

/** A daemon that is restarted is away for a while. */
const backWithinMs = 90_000;
const backEveryMs = 500;

/** Sandboxes by a Docker Engine or Podman, whichever is found. Nothing is asked of a daemon before it is needed. */
export class DockerRuntime implements Runtime {
  readonly name = 'docker';
  readonly #options: DockerRuntimeOptions;
  readonly #connection: Connection;
  readonly #images: Images;
  readonly #buildCache: BuildCache;
  readonly #tools: InsideTools;
  readonly #pauses: Pauses;
  readonly #places: Places;
  readonly #grounds: Grounds;
  readonly #behind = new Set<Promise<void>>();
  readonly #started = Date.now();
  /** Containers that could not be removed when their time had come. */
  readonly #stuck = new Set<string>();
  #names: Names | undefined;
  #closed = false;

  constructor(options: DockerRuntimeOptions) {
    this.#options = options;
    const names = () => this.#ours();
    const connection = new Connection(options.host, options.load);
    this.#connection = connection;
    this.#images = new Images(connection, names);
    this.#buildCache = new BuildCache(connection, this.#images, names);
    this.#tools = new InsideTools(connection, this.#images, names);
    this.#pauses = new Pauses(connection, this.#tools, names, options.log);
    this.#places = new Places(connection, names);
    this.#grounds = new Grounds({
      connection,
      images: this.#images,
      tools: this.#tools,
      places: this.#places,
      names,
      folder: path.join(options.home, 'states'),
    });
  }

  /** Made with the first thing that is made in a daemon: a home without one never used any. */
  #ours(): Names {
    this.#names ??= Names.of(this.#options.home);
    return this.#names;
  }

  async probe(): Promise<Probe> {
    try {
      const daemon = await this.#connection.check();
      return { available: true, capabilities: capabilitiesOf(daemon, await daemon.api.info()) };
    } catch (error) {
      const { message, fix } = toWireError(await this.#connection.understood(error));
      const reason = message.replace('the docker runtime is not available: ', '');
      return { available: false, reason, ...(fix === undefined ? {} : { fix }), capabilities: noCapabilities };
    }
  }

  identify(source: ImageSource): Promise<string | undefined> {
    return this.#asked(() => identifySource(source, this.#images));
  }

  importImage(source: ImageSource, options: ImportOptions): Promise<ImportedImage> {
    return this.#asked(() =>
      importSource(source, options, {
        connection: this.#connection,
        images: this.#images,
        names: this.#ours(),
        scratch: path.join(this.#options.home, 'import'),
      }),
    );
  }

  build(spec: BuildSpec): RuntimeBuild {
    return new DockerBuild(spec, {
      connection: this.#connection,
      images: this.#images,
      names: this.#ours(),
      cache: this.#buildCache,
      log: this.#options.log,
    });
  }

  async measure(image: RuntimeImage): Promise<number> {
    return imageData(image).layers.at(-1)?.size ?? 0;
  }

  async exportLayers(image: RuntimeImage, lineage: readonly RuntimeImage[]): Promise<readonly ExportedLayer[]> {
    const data = imageData(image);
    const save = () =>
      this.#asked(async () => (await this.#connection.daemon()).api.getImage(this.#ours().image(image.uuid)).get());
    const saved = new SavedLayers(save, path.join(this.#options.home, 'export'), data.layers.length);
    return saved.layers(lineage.map(imageData), data);
  }

  exportTree(image: RuntimeImage, signal: AbortSignal): Promise<Readable> {
    return this.#places.open(imageData(image).id, async place => {
      const tree = await place.archive('/');
      const abort = () => tree.destroy(new Error('the tree is not wanted any more'));
      signal.addEventListener('abort', abort, { once: true });
      tree.once('close', () => signal.removeEventListener('abort', abort));
      return tree;
    });
  }

  removeImage(image: RuntimeImage, others: readonly RuntimeImage[]): Promise<number> {
    return this.#asked(async () => {
      const data = imageData(image);
      const rest = others.filter(other => other.uuid !== image.uuid).map(imageData);
      if (!rest.some(other => other.id === data.id)) await this.#places.drop(data.id);
      await Promise.all([...this.#behind]);
      await this.#images.removeTag(image.uuid);
      return bytesOfItsOwn(data, rest);
    });
  }

  files(image: RuntimeImage): ImageFiles {
    return new DockerFiles(imageData(image).id, this.#places);
  }

  async diff(
    parent: RuntimeImage,
    child: RuntimeImage,
    options: { readonly path: string; readonly signal?: AbortSignal },
  ): Promise<readonly DiffEntry[]> {
    const [before, after] = [imageData(parent), imageData(child)];
    // What was laid under the child's run is no work of the run's.
    const ground = after.parent === before.id && after.ground !== null ? after.ground : before.id;
    return this.#places.use(ground, old =>
      this.#places.use(after.id, async now =>
        diffTrees(await old.tree('/', options.signal), await now.tree('/', options.signal), options.path),
      ),
    );
  }

  create(spec: SandboxSpec): Promise<RuntimeSandbox> {
    return this.#asked(() => this.#create(spec));
  }

  async #create(spec: SandboxSpec, ahead = true): Promise<RuntimeSandbox> {
    if (this.#closed) throw new CoppiceError('runtime_unavailable', 'the docker runtime is closed');
    const [daemon, ground] = await Promise.all([this.#connection.daemon(), this.#grounds.under(spec)]);
    const network: Joined =
      spec.network === 'host' ? { mode: 'host', release: () => {} } : this.#pauses.claim(spec.network, ahead);
    const hasTools = spec.main === undefined || spec.id.startsWith('sb-');
    const tools = hasTools ? await this.#tools.tools() : undefined;
    let container: Docker.Container | undefined;
    try {
      const config = containerConfig({
        daemon,
        names: this.#ours(),
        spec,
        ground: await this.#images.inspect(ground.id),
        network,
        bind: tools?.bind,
      });
      container = await daemon.api.createContainer(config);
      if (daemon.podman && spec.main && spec.main.cwd !== '/') await makeFolders(container, spec.main.cwd);
      const main = new MainProcess({ id: spec.id, container, spec: spec.main, back: () => this.#back() });
      await main.start();
      return this.#sandbox(spec, container, main, ground, network, hasTools);
    } catch (error) {
      const broken = /network namespace|cannot join network|No such container|container:/.test(String(error));
      this.#removeBehind(container, () => network.release(broken));
      // A network that was made ahead went with the daemon it was made in.
      if (broken && ahead) {
        await Promise.all([...this.#behind]);
        return this.#create(spec, false);
      }
      throw error;
    }
  }

  #sandbox(
    spec: Pick<SandboxSpec, 'id' | 'image' | 'main'>,
    container: Docker.Container,
    main: MainProcess,
    ground: MadeImage,
    network: Joined,
    hasTools: boolean,
  ): DockerSandbox {
    return new DockerSandbox({
      id: spec.id,
      container,
      main,
      images: this.#images,
      connection: this.#connection,
      image: imageData(spec.image),
      ground,
      env: spec.main?.env ?? {},
      hasTools,
      notes: [],
      back: () => this.#back(),
      remove: () => this.#removeBehind(container, () => network.release(false)),
    });
  }

  adopt(run: AdoptedRun): Promise<RuntimeSandbox> {
    return this.#asked(() => this.#adopt(run));
  }

  async #adopt({ id, image, spool }: AdoptedRun): Promise<RuntimeSandbox> {
    await this.#back();
    const { api } = await this.#connection.daemon();
    const names = this.#ours();
    const container = api.getContainer(names.container(id));
    const info = await container.inspect().catch((error: { statusCode?: number }) => {
      if (error.statusCode === 404) return undefined;
      throw error;
    });
    if (!info || info.Config.Labels[idLabel] !== id || info.State.Status === 'created') throw gone(id);
    const env = Object.fromEntries((info.Config.Env ?? []).map(entry => entry.split(/=(.*)/s) as [string, string]));
    const spec: ProcessSpec = {
      args: [],
      env,
      cwd: '/',
      user: undefined,
      stdin: { kind: 'none' },
      tty: undefined,
      spool,
    };
    const main = new MainProcess({ id, container, spec, back: () => this.#back() });
    await main.resume();
    const ground = await this.#images.describe(info.Image);
    const network = this.#pauses.adopted(info.HostConfig.NetworkMode ?? '');
    return this.#sandbox({ id, image, main: spec }, container, main, ground, network, false);
  }

  /** Networks that a run joined stay as long as it does. */
  async reap(known: {
    readonly images: readonly RuntimeImage[];
    readonly sandboxes: readonly string[];
  }): Promise<readonly string[]> {
    const names = Names.existing(this.#options.home);
    if (!names) return [];
    this.#names = names;
    const { api } = await this.#connection.daemon();
    const before = Math.floor(this.#started / 1000);
    const containers = await api.listContainers({ all: true, filters: names.filter });
    const living = containers.filter(({ Labels }) => known.sandboxes.includes(Labels[idLabel] ?? ''));
    const joined = new Set(living.map(({ HostConfig }) => HostConfig?.NetworkMode?.replace('container:', '')));
    const orphans = containers.filter(container => {
      if (this.#stuck.has(container.Id)) return true;
      // What this engine itself made meanwhile is none of an earlier one's.
      return !living.includes(container) && !joined.has(container.Id) && container.Created <= before;
    });
    for (const { Id } of orphans) {
      await this.#removed(api.getContainer(Id));
      this.#stuck.delete(Id);
    }
    await this.#buildCache.clear(before);
    const gone = await this.#reapImages(api, names, new Set(known.images.map(image => image.uuid)), before);
    return [
      ...orphans.map(({ Names: [name] = [], Labels }) => `container ${name ?? ''} (${Labels[kindLabel] ?? ''})`),
      ...gone.map(name => `image ${name}`),
    ];
  }

  async #reapImages(api: Docker, names: Names, kept: ReadonlySet<string>, before: number): Promise<string[]> {
    const gone: string[] = [];
    for (const { RepoTags, Created } of await api.listImages({ filters: { reference: [`${names.repository}:*`] } })) {
      for (const name of RepoTags ?? []) {
        const tag = name.slice(name.lastIndexOf(':') + 1);
        if (!name.startsWith(`${names.repository}:`) || kept.has(tag) || tag.startsWith('inside-')) continue;
        if (Created > before || this.#images.isClaimed(tag)) continue;
        await this.#images.remove(name);
        gone.push(name);
      }
    }
    return gone;
  }

  async #removed(container: Docker.Container): Promise<void> {
    await container.remove({ force: true, v: true }).catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
    });
  }

  async wipe(): Promise<void> {
    await this.close();
    const names = Names.existing(this.#options.home);
    if (names) {
      const { api } = await this.#connection.daemon();
      for (const { Id } of await api.listContainers({ all: true, filters: names.filter }))
        await api.getContainer(Id).remove({ force: true, v: true });
      this.#names = names;
      await this.#buildCache.clear(Number.POSITIVE_INFINITY);
      for (const { RepoTags } of await api.listImages({ filters: { reference: [`${names.repository}:*`] } }))
        for (const name of RepoTags ?? []) if (name.startsWith(`${names.repository}:`)) await this.#images.remove(name);
      const { Volumes: volumes } = await api.listVolumes({ filters: names.filter });
      for (const { Name } of volumes ?? []) await api.getVolume(Name).remove({ force: true });
    }
    await rm(this.#options.home, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const names = this.#names ?? Names.existing(this.#options.home);
    if (!names) return;
    await Promise.all([...this.#behind]);
    await Promise.all([this.#pauses.close(), this.#places.close()]).catch((error: Error) =>
      this.#options.log(`docker: what is left goes at the next start: ${error.message}`),
    );
  }

  /** Nobody waits for it; what cannot be removed now goes when an engine starts. */
  #removeBehind(container: Docker.Container | undefined, then: () => void): void {
    const removing = (async () => {
      try {
        await container?.remove({ force: true, v: true });
      } catch (error) {
        if ((error as { statusCode?: number }).statusCode !== 404) {
          this.#stuck.add(container!.id);
          this.#options.log(`docker: a container stays until the next start: ${(error as Error).message}`);
        }
      }
      then();
    })().finally(() => this.#behind.delete(removing));
    this.#behind.add(removing);
  }

  /** Waits for a daemon that went away. */
  async #back(): Promise<void> {
    for (const deadline = Date.now() + backWithinMs; ; ) {
      try {
        await this.#connection.check();
        return;
      } catch (error) {
        if (this.#closed || Date.now() > deadline)
          throw new CoppiceError('interrupted', `the daemon went away while this ran: ${(error as Error).message}`, {
            fix: 'Start the daemon and run it again.',
          });
      }
      await new Promise(resolve => setTimeout(resolve, backEveryMs));
    }
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw await this.#connection.understood(error);
    }
  }
}

function gone(id: string): CoppiceError {
  return new CoppiceError('interrupted', `what ran for ${id} is gone from the daemon`, { fix: 'Run it again.' });
}

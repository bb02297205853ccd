import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { LinuxRootedFolder } from '../../../paths/linuxRooted.ts';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { FileEntry } from '../../../protocol/schemas/files.ts';
import type { ProcessExit, RuntimeImage } from '../../runtime.ts';
import {
  type CreateSandbox,
  type HostSettings,
  type LaidState,
  mainProcess,
  type ProcessName,
  type SandboxFileRequest,
  type StartProcess,
} from '../hostApi.ts';
import { type ContainerProcessSpec, capabilityBits, ociSpec, processSpec, type SeccompFilter } from '../ociSpec.ts';
import { type Cgroups, defaultPids, type SandboxCgroups } from './cgroups.ts';
import type { Launch } from './launch.ts';
import type { Entry, Launcher, ProcessIdentity } from './launcher.ts';
import { type ImageData, imageData } from './layers/imageData.ts';
import type { LayerStore } from './layers/layerStore.ts';
import { type MountPlan, mountPoints } from './layers/mountPlan.ts';
import type { Mounts } from './mounts.ts';
import type { NatNetwork, Networks } from './network.ts';
import {
  bundlePath,
  containersPath,
  etcPath,
  inboxPath,
  layerPath,
  pausePath,
  scratchPath,
  stagingPath,
  upperPath,
} from './paths.ts';
import type { Pipes } from './pipes.ts';
import { ContainerProcess } from './process.ts';
import { makeWritable, type Roots } from './roots.ts';
import {
  foldersAbove,
  hideFiles,
  isPlain,
  layFile,
  livingRoot,
  readFrom,
  withDeadRoot,
  writeLayer,
  writeTo,
} from './sandboxFiles.ts';
import { answerFileRequest } from './sandboxFolders.ts';
import { standStill } from './standstill.ts';
import { resolveUser } from './users.ts';
import type { Views } from './views/views.ts';

/** What sandboxes are made with. */
export interface SandboxTools {
  readonly settings: HostSettings;
  readonly mounts: Mounts;
  readonly pipes: Pipes;
  readonly launcher: Launcher;
  readonly layers: LayerStore;
  readonly views: Views;
  readonly cgroups: Cgroups;
  readonly networks: Networks;
  readonly roots: Roots;
  readonly seccomp: SeccompFilter;
  onOutput(name: ProcessName, stdout: number, stderr: number): void;
  onExit(name: ProcessName, end: ProcessExit | Error): void;
  log(line: string): void;
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** One container: its writable tree, its mounts, its processes. */
export class Sandbox {
  readonly id: string;
  readonly #tools: SandboxTools;
  readonly #spec: CreateSandbox;
  readonly #processes = new Map<string, ContainerProcess>();
  /** What it runs on: the image it was asked for, with what was laid over it. */
  #image: RuntimeImage;
  /** Layers made for this run alone. */
  readonly #laid: string[] = [];
  #nat: NatNetwork | undefined;
  #unpin: (() => void) | undefined;
  #cgroups: SandboxCgroups | undefined;
  #mounted = false;
  #unmounting: Promise<void> = Promise.resolve();
  #dead = false;
  #committed = false;
  /** Commands on their way into it, and what they wait for while nothing may move. */
  readonly #starting = new Set<Promise<void>>();
  #still: Promise<void> = Promise.resolve();

  constructor(tools: SandboxTools, spec: CreateSandbox) {
    this.id = spec.id;
    this.#tools = tools;
    this.#spec = spec;
    this.#image = spec.image;
  }

  async start(): Promise<void> {
    const spec = this.#spec;
    if (spec.state) this.#image = await this.#withState(spec.state);
    if (spec.files.length > 0) this.#image = await this.#withFiles(spec.files);
    this.#cgroups = this.#tools.cgroups.create(this.id, spec.limits);
    const network = await this.#network();
    const { unpin } = await this.#tools.roots.take(this.id, this.#image);
    this.#unpin = unpin;
    this.#mounted = true;
    const bundle = bundlePath(this.id);
    const config = ociSpec({
      rootfs: path.join(bundle, 'rootfs'),
      process: await this.#processSpec(spec.main ?? pauseCommand),
      hostname: spec.hostname,
      binds: this.#binds(),
      network,
      seccomp: this.#tools.seccomp,
      pidMax: this.#tools.cgroups.limitsPids ? undefined : pidMaxFor(spec.limits.pids),
    });
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
    await this.#launch(mainProcess, 'run', bundle, spec.main ?? pauseCommand, spec.main === null);
    // The next run is likely of the same image, with the same state over it. Once this one is answered: now there is time.
    const image = this.#image;
    if (spec.main !== null && this.#laid.length === 0) setTimeout(() => this.#tools.roots.prepare(image), 1);
  }

  async exec(process: string, start: StartProcess): Promise<void> {
    if (this.#dead) throw notRunning(this.id);
    if (this.#processes.has(process)) {
      throw new CoppiceError('already_exists', `${this.id} has a process ${process} already`);
    }
    const first = await this.process(mainProcess).identity();
    if (!first) throw notRunning(this.id);
    await this.#still;
    const starting = this.#execIn(first, process, await this.#processSpec(start), start);
    this.#starting.add(starting);
    try {
      await starting;
    } finally {
      this.#starting.delete(starting);
    }
  }

  /** Straight into the namespaces where that can be done, else by the OCI runtime: a terminal comes from that. */
  async #execIn(
    first: ProcessIdentity,
    process: string,
    spec: ContainerProcessSpec,
    start: StartProcess,
  ): Promise<void> {
    const entry: Entry = {
      ...spec,
      first,
      permitted: capabilityBits(spec.user),
      complaints: this.#file(process, 'log'),
      entrances: this.#cgroups?.entrances ?? [],
    };
    if (!start.tty && this.#tools.launcher.enters) return this.#launch(process, 'exec', '', start, false, entry);
    const file = this.#file(process, 'json');
    writeFileSync(file, JSON.stringify(processSpec(spec)));
    return this.#launch(process, 'exec', file, start, false);
  }

  #file(process: string, kind: 'json' | 'pid' | 'log'): string {
    return path.join(bundlePath(this.id), `${process}.${kind}`);
  }

  process(name: string): ContainerProcess {
    const found = this.#processes.get(name);
    if (!found) throw new CoppiceError('process_not_found', `${this.id} has no process ${name}`);
    return found;
  }

  /** Resolves when its command runs, rejects with the reason why it does not. */
  async running(): Promise<void> {
    const main = this.process(mainProcess);
    if ((await main.whenRunning()) !== undefined) return;
    await main.ended;
    throw notRunning(this.id);
  }

  changed(): Promise<boolean> {
    return this.#tools.layers.changed(upperPath(this.id), this.#image);
  }

  async readFile(file: string, offset: number, length: number): Promise<{ bytes: Buffer; size: number }> {
    const read = (root: LinuxRootedFolder) => readFrom(root, this.id, file, offset, length);
    if (this.#dead) return withDeadRoot(this.#tools.mounts, scratchPath, this.#plan(), upperPath(this.id), read);
    return this.#withLivingRoot(read);
  }

  async writeFile(file: string, bytes: Buffer, options: { mode: number | null; append: boolean }): Promise<void> {
    if (this.#dead) throw notRunning(this.id);
    await this.#withLivingRoot(root => writeTo(root, this.id, file, bytes, options));
  }

  async files(request: SandboxFileRequest): Promise<readonly FileEntry[]> {
    if (this.#dead) throw notRunning(this.id);
    return this.#withLivingRoot(root => answerFileRequest(root, this.id, request));
  }

  /** What it wrote becomes a layer: of a dead one by renaming, of a living one by copying. */
  async commit(uuid: string): Promise<{ changed: false } | { changed: true; data: unknown; size: number | null }> {
    if (this.#committed) throw new CoppiceError('conflict', `${this.id} gave its files away already`);
    const made = this.#dead ? await this.#commitDead(uuid) : await this.#commitLiving(uuid);
    if (made === 'unchanged') return { changed: false };
    this.#laid.length = 0;
    return { changed: true, ...made };
  }

  /** Kills the whole tree; resolves when nothing runs any more. */
  async stop(): Promise<void> {
    const main = this.#processes.get(mainProcess);
    if (!main) return;
    await main.destroy();
    await Promise.allSettled([...this.#processes.values()].map(process => process.ended));
  }

  /** After `stop`: its mounts, folders, groups and network. */
  async clear(): Promise<void> {
    this.#nat?.release();
    await this.#unmount();
    await this.#cgroups?.remove();
    this.#unpin?.();
    await Promise.all([
      this.#tools.roots.clear(this.id),
      rm(path.join(containersPath, this.id), { recursive: true, force: true }),
      ...this.#laid.map(id => rm(layerPath(id), { recursive: true, force: true })),
    ]);
    this.#tools.layers.forgetStates();
  }

  #plan(): MountPlan {
    return this.#tools.layers.prepare(this.#image);
  }

  /** Where there is no way out, `nat` is a network of one's own: the runtime's probe says so. */
  async #network(): Promise<'none' | 'host' | { readonly path: string }> {
    if (this.#spec.network !== 'nat') return this.#spec.network;
    this.#nat = await this.#tools.networks.take();
    return this.#nat ? { path: this.#nat.path } : 'none';
  }

  /** The state's tree lies over the image; what an earlier state brought and this one lacks is hidden below it. */
  async #withState(state: LaidState): Promise<RuntimeImage> {
    const layers = this.#tools.layers.stateLayers(state.id, state.layer);
    if (layers === undefined) {
      throw new CoppiceError('state_not_found', `the tree of ${state.id} is not laid out`, {
        data: { layer: state.layer },
      });
    }
    if (state.hides.length > 0) this.#image = await this.#withLayer('hidden', root => hideFiles(root, state.hides));
    const below = imageData(this.#image);
    this.#image = this.#over(layers);
    await this.#keepFoldersAbove(state.destination, below);
    if (state.touches.length === 0) return this.#image;
    const now = new Date();
    return this.#withLayer('touched', root => {
      for (const file of state.touches) root.setTime(Buffer.from(file, 'latin1'), now);
    });
  }

  /** The state's layer has plain folders above its destination: those that the image has otherwise stay as the image has them. */
  async #keepFoldersAbove(destination: string, image: ImageData): Promise<void> {
    if (path.posix.dirname(destination) === '/') return;
    const folders = await this.#tools.views.use(image, ({ root }) => foldersAbove(root, destination));
    if (folders.every(isPlain)) return;
    const upper = path.join(stagingPath, `${this.id}-above`);
    mkdirSync(upper);
    for (const folder of folders) {
      const place = path.join(upper, folder.path);
      mkdirSync(place);
      chownSync(place, folder.uid, folder.gid);
      chmodSync(place, folder.mode);
    }
    this.#image = this.#take(upper);
  }

  async #withFiles(files: CreateSandbox['files']): Promise<RuntimeImage> {
    const sources = files.map(file => ({ path: file.path, source: path.join(inboxPath, path.basename(file.inbox)) }));
    try {
      return await this.#withLayer('files', root => {
        for (const file of sources) layFile(root, this.id, file);
      });
    } finally {
      await Promise.all(sources.map(file => rm(file.source, { force: true })));
    }
  }

  /** A layer of its own under what the run writes, so that neither `changed` nor a diff counts it as the run's. */
  async #withLayer(name: string, change: (root: LinuxRootedFolder) => void): Promise<RuntimeImage> {
    const folder = path.join(stagingPath, `${this.id}-${name}`);
    const plan = this.#plan();
    makeWritable(folder, plan);
    const points = mountPoints(plan).map(point => point.name);
    const work = (top: string) => path.join(folder, 'work', String(points.indexOf(top)));
    await writeLayer(this.#tools.mounts, scratchPath, plan, { upper: path.join(folder, 'upper'), work }, change);
    const image = this.#take(path.join(folder, 'upper'));
    await rm(folder, { recursive: true, force: true });
    return image;
  }

  #take(tree: string): RuntimeImage {
    const id = `f${Buffer.from(randomBytes(8)).readBigUInt64BE().toString(36).padStart(13, '0').slice(-7)}`;
    renameSync(tree, layerPath(id));
    this.#laid.push(id);
    return this.#over([id]);
  }

  /** A state that lies further below already moves to the top: no layer may stand twice in a mount. */
  #over(layers: readonly string[]): RuntimeImage {
    const data = imageData(this.#image);
    const others = (ids: readonly string[]) => ids.filter(id => !layers.includes(id));
    const mounted = this.#tools.layers.resolve(data).layers;
    const below = mounted.some(id => layers.includes(id)) ? others(mounted) : data.layers;
    return {
      uuid: this.#image.uuid,
      data: { ...data, layers: [...layers, ...below], laid: [...layers, ...others(data.laid)] },
    };
  }

  async #commitDead(uuid: string) {
    await this.#unmount();
    const made = await this.#tools.layers.commitUpper(uuid, upperPath(this.id), this.#image);
    this.#committed = made !== 'unchanged';
    return made;
  }

  async #commitLiving(uuid: string) {
    const copy = path.join(stagingPath, `live-${uuid}`);
    try {
      await this.#whileStill(() => promisify(execFile)('cp', ['-a', '--reflink=auto', '--', upperPath(this.id), copy]));
      const made = await this.#tools.layers.commitUpper(uuid, copy, this.#image);
      if (made === 'unchanged') return made;
      // Next to the copying, counting is nothing.
      return { ...made, size: made.size ?? (await this.#tools.layers.measure({ uuid, data: made.data })) };
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  }

  /**
   * Nothing of it moves meanwhile, or nothing is done: who swaps a folder for a link while we copy it would have us copy
   * what the link shows, and that is the machine's.
   */
  async #whileStill(work: () => Promise<unknown>): Promise<void> {
    await this.#still;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#still = promise;
    try {
      await Promise.allSettled([...this.#starting]);
      await Promise.all([...this.#processes.values()].map(process => process.whenRunning()));
      const pid = this.process(mainProcess).pid;
      if (pid === undefined) throw notRunning(this.id);
      const goOn = (await this.#cgroups?.freeze()) ?? (await standStill(this.id, pid));
      try {
        await work();
      } finally {
        goOn();
      }
    } finally {
      resolve();
    }
  }

  async #withLivingRoot<T>(use: (root: LinuxRootedFolder) => T): Promise<T> {
    const pid = await this.process(mainProcess).whenRunning();
    if (pid === undefined) throw notRunning(this.id);
    const root = livingRoot(pid);
    try {
      return use(root);
    } finally {
      root.close();
    }
  }

  async #launch(
    process: string,
    verb: Launch['verb'],
    source: string,
    start: StartProcess,
    silent: boolean,
    entry?: Entry,
  ): Promise<void> {
    const name = { sandbox: this.id, process };
    const launch: Launch = {
      name,
      runtime: this.#tools.settings.runtime,
      verb,
      source,
      pidFile: this.#file(process, 'pid'),
      logFile: this.#file(process, 'log'),
      start,
      folder: bundlePath(this.id),
      entrances: this.#cgroups?.entrances ?? [],
    };
    const listener = (stdout: number, stderr: number) => this.#tools.onOutput(name, stdout, stderr);
    const launched = await ContainerProcess.start(launch, this.#tools, silent ? undefined : listener, entry);
    this.#processes.set(process, launched);
    launched.ended.then(
      end => this.#ended(name, { ...end, oom: this.#cgroups?.oomKilled() ?? false, resources: this.#usage() }),
      (error: Error) => this.#ended(name, error),
    );
  }

  #ended(name: ProcessName, end: ProcessExit | Error): void {
    if (name.process === mainProcess) {
      this.#dead = true;
      // While the engine thinks about it.
      this.#unmount().catch((error: Error) => this.#tools.log(`${this.id} stays mounted: ${error.message}`));
    } else {
      this.#processes.delete(name.process);
      for (const kind of ['json', 'pid', 'log'] as const) rmSync(this.#file(name.process, kind), { force: true });
    }
    this.#tools.onExit(name, end);
  }

  #usage(): ProcessExit['resources'] {
    return this.#cgroups?.usage() ?? { cpuMs: null, maxRss: null };
  }

  async #processSpec(start: StartProcess): Promise<ContainerProcessSpec> {
    const { home, ...user } = await resolveUser(start.user, file => this.#readText(file));
    const defaults = {
      PATH: defaultPath,
      HOME: home,
      HOSTNAME: this.#spec.hostname,
      ...(start.tty ? { TERM: 'xterm' } : {}),
    };
    return {
      args: start.args,
      env: Object.entries({ ...defaults, ...start.env }).map(([name, value]) => `${name}=${value}`),
      cwd: start.cwd,
      user,
      tty: start.tty ?? undefined,
    };
  }

  async #readText(file: string): Promise<string | undefined> {
    try {
      const { bytes } = await this.#tools.views.files(this.#image).read(file, 0, 4 * 1024 * 1024);
      return bytes.toString();
    } catch (error) {
      if (error instanceof CoppiceError && error.code === 'path_not_found') return undefined;
      throw error;
    }
  }

  #binds(): { source: string; target: string; readOnly: boolean }[] {
    const { hostname, network, resolvConf, main } = this.#spec;
    const texts = {
      hostname: `${hostname}\n`,
      hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t${hostname}\n`,
      'resolv.conf': network === 'host' ? resolvConf : this.#nat ? `nameserver ${this.#nat.resolver}\n` : '',
    };
    // On disk, not in the host's tmpfs: a sandbox may write to them as much as it likes.
    const folder = etcPath(this.id);
    mkdirSync(folder);
    const binds = Object.entries(texts).map(([name, text]) => {
      writeFileSync(path.join(folder, name), text, { mode: 0o644 });
      return { source: path.join(folder, name), target: `/etc/${name}`, readOnly: false };
    });
    if (main === null) binds.push({ source: pausePath, target: pauseCommand.args[0]!, readOnly: true });
    return binds;
  }

  #unmount(): Promise<void> {
    if (!this.#mounted) return this.#unmounting;
    this.#mounted = false;
    this.#unmounting = this.#tools.mounts.unmount(path.join(bundlePath(this.id), 'rootfs'));
    return this.#unmounting;
  }
}

/** /dev is a tmpfs of the container's own, so the program leaves no trace in what the sandbox wrote. */
const pauseCommand: StartProcess = {
  args: ['/dev/.coppice-pause'],
  env: {},
  cwd: '/',
  user: null,
  stdin: { kind: 'none' },
  tty: null,
  cap: 0,
};

/** The kernel's least is 301, and its own threads count: so the smallest limit is that. None would let one sandbox starve all. */
function pidMaxFor(pids: number | null): number {
  return Math.max(301, pids ?? defaultPids);
}

function notRunning(id: string): CoppiceError {
  return new CoppiceError('conflict', `${id} does not run any more`, { fix: 'Start a sandbox from its image.' });
}

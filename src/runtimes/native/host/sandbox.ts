import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { ProcessExit } from '../../runtime.ts';
import { type CreateSandbox, type HostSettings, mainProcess, type ProcessName, type StartProcess } from '../hostApi.ts';
import { type ContainerProcessSpec, ociSpec, processSpec, type SeccompFilter } from '../ociSpec.ts';
import type { Cgroups, SandboxCgroups } from './cgroups.ts';
import type { Launch } from './launch.ts';
import type { LayerStore } from './layers/layerStore.ts';
import type { Mounts } from './mounts.ts';
import { bundlePath, containersPath, pausePath, runPath, upperPath } from './paths.ts';
import type { Pipes } from './pipes.ts';
import { ContainerProcess } from './process.ts';
import { resolveUser } from './users.ts';

/** What sandboxes are made with. */
export interface SandboxTools {
  readonly settings: HostSettings;
  readonly mounts: Mounts;
  readonly pipes: Pipes;
  readonly layers: LayerStore;
  readonly cgroups: Cgroups;
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
  #cgroups: SandboxCgroups | undefined;
  #mounted = false;
  #dead = false;
  #committed = false;

  constructor(tools: SandboxTools, spec: CreateSandbox) {
    this.id = spec.id;
    this.#tools = tools;
    this.#spec = spec;
  }

  async start(): Promise<void> {
    const spec = this.#spec;
    const plan = this.#tools.layers.prepare(spec.image);
    const upper = upperPath(this.id);
    const work = path.join(runPath(this.id), 'work');
    const bundle = bundlePath(this.id);
    const rootfs = path.join(bundle, 'rootfs');
    makeFolders(upper, work, rootfs, plan.tops);
    await this.#tools.mounts.overlay(rootfs, { lower: plan.lowerRoot, upper, work: path.join(work, '0') });
    this.#mounted = true;
    this.#cgroups = this.#tools.cgroups.create(this.id, spec.limits);
    const config = ociSpec({
      rootfs,
      process: await this.#processSpec(spec.main ?? pauseCommand),
      hostname: spec.hostname,
      tops: plan.tops.map((top, index) => ({
        name: top.name,
        layers: { lower: top.lower, upper: path.join(upper, top.name), work: path.join(work, String(index + 1)) },
      })),
      binds: this.#binds(bundle),
      network: spec.network === 'host' ? 'host' : 'none',
      seccomp: this.#tools.seccomp,
      pidMax: undefined,
    });
    writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(config));
    await this.#launch(mainProcess, 'run', bundle, spec.main ?? pauseCommand, spec.main === null);
  }

  async exec(process: string, start: StartProcess): Promise<void> {
    if (this.#dead) throw notRunning(this.id);
    if (this.#processes.has(process)) {
      throw new CoppiceError('already_exists', `${this.id} has a process ${process} already`);
    }
    const file = path.join(bundlePath(this.id), `${process}.json`);
    writeFileSync(file, JSON.stringify(processSpec(await this.#processSpec(start))));
    await this.#launch(process, 'exec', file, start, false);
  }

  process(name: string): ContainerProcess {
    const found = this.#processes.get(name);
    if (!found) throw new CoppiceError('process_not_found', `${this.id} has no process ${name}`);
    return found;
  }

  get running(): boolean {
    return !this.#dead;
  }

  changed(): Promise<boolean> | boolean {
    return this.#tools.layers.changed(upperPath(this.id), this.#spec.image);
  }

  async commit(uuid: string): Promise<{ changed: false } | { changed: true; data: unknown; size: number }> {
    if (this.#committed) throw new CoppiceError('conflict', `${this.id} gave its files away already`);
    if (!this.#dead) throw new CoppiceError('unsupported', 'a living sandbox cannot be committed yet');
    await this.#unmount();
    const made = await this.#tools.layers.commitUpper(uuid, upperPath(this.id), this.#spec.image);
    if (made === 'unchanged') return { changed: false };
    this.#committed = true;
    return { changed: true, ...made };
  }

  /** Kills the whole tree; resolves when nothing runs any more. */
  async stop(): Promise<void> {
    const main = this.#processes.get(mainProcess);
    if (!main) return;
    await main.destroy();
    await Promise.allSettled([...this.#processes.values()].map(process => process.ended));
  }

  async remove(): Promise<void> {
    await this.stop();
    await this.#unmount();
    await this.#cgroups?.remove();
    await Promise.all([
      rm(runPath(this.id), { recursive: true, force: true }),
      rm(bundlePath(this.id), { recursive: true, force: true }),
      rm(path.join(containersPath, this.id), { recursive: true, force: true }),
    ]);
  }

  async #launch(
    process: string,
    verb: Launch['verb'],
    source: string,
    start: StartProcess,
    silent: boolean,
  ): Promise<void> {
    const folder = bundlePath(this.id);
    const name = { sandbox: this.id, process };
    const launch: Launch = {
      name,
      runtime: this.#tools.settings.runtime,
      verb,
      source,
      pidFile: path.join(folder, `${process}.pid`),
      logFile: path.join(folder, `${process}.log`),
      start,
      folder,
      cgroups: this.#cgroups?.procs ?? [],
    };
    const listener = (stdout: number, stderr: number) => this.#tools.onOutput(name, stdout, stderr);
    const launched = await ContainerProcess.start(launch, this.#tools.pipes, silent ? undefined : listener);
    this.#processes.set(process, launched);
    launched.ended.then(
      end => this.#ended(name, { ...end, oom: this.#cgroups?.oomKilled() ?? false, resources: this.#usage() }),
      (error: Error) => this.#ended(name, error),
    );
  }

  #ended(name: ProcessName, end: ProcessExit | Error): void {
    if (name.process === mainProcess) this.#dead = true;
    else this.#processes.delete(name.process);
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
    return file && undefined;
  }

  #binds(bundle: string): { source: string; target: string; readOnly: boolean }[] {
    const { hostname, network, resolvConf, main } = this.#spec;
    const texts = {
      hostname: `${hostname}\n`,
      hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t${hostname}\n`,
      'resolv.conf': network === 'nat' ? 'nameserver 10.0.2.3\n' : network === 'host' ? resolvConf : '',
    };
    const binds = Object.entries(texts).map(([name, text]) => {
      writeFileSync(path.join(bundle, name), text, { mode: 0o644 });
      return { source: path.join(bundle, name), target: `/etc/${name}`, readOnly: false };
    });
    if (main === null) binds.push({ source: pausePath, target: pauseCommand.args[0]!, readOnly: true });
    return binds;
  }

  async #unmount(): Promise<void> {
    if (!this.#mounted) return;
    this.#mounted = false;
    await this.#tools.mounts.unmount(path.join(bundlePath(this.id), 'rootfs'));
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

function makeFolders(
  upper: string,
  work: string,
  rootfs: string,
  tops: readonly { readonly name: string; readonly lower: readonly string[] }[],
): void {
  mkdirSync(upper, { recursive: true, mode: 0o755 });
  mkdirSync(rootfs, { recursive: true });
  mkdirSync(path.join(work, '0'), { recursive: true });
  tops.forEach((top, index) => {
    mkdirSync(path.join(upper, top.name), { mode: statSync(top.lower[0]!).mode & 0o7777 });
    mkdirSync(path.join(work, String(index + 1)));
  });
}

function notRunning(id: string): CoppiceError {
  return new CoppiceError('conflict', `${id} does not run any more`, { fix: 'Start a sandbox from its image.' });
}

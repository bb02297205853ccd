import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { commandOf, killAllNaming, processesNaming } from './processes.ts';

/** Podman's service as Docker's API, with storage, network and mounts of its own that go with it. */
export class PodmanService {
  readonly folder: string;
  readonly socket: string;
  readonly api: Docker;
  #process: ChildProcess;

  private constructor(folder: string, service: ChildProcess) {
    this.folder = folder;
    this.socket = path.join(folder, 'podman.sock');
    this.api = new Docker({ socketPath: this.socket });
    this.#process = service;
  }

  /** Why it cannot run here; undefined when it can. */
  static missing(): string | undefined {
    if (process.getuid?.() !== 0) return "podman's service needs root here";
    if (!existsSync('/usr/bin/podman')) return "podman is missing: install Debian's podman";
    return undefined;
  }

  static async start(): Promise<PodmanService> {
    const folder = mkdtempSync(path.join(tmpdir(), 'podman-'));
    configurePodman(folder);
    const service = launch(folder, ['unshare', '--net', '--mount']);
    const started = new PodmanService(folder, service);
    try {
      await started.#ready();
      return started;
    } catch (error) {
      const tail = readFileSync(path.join(folder, 'podman.log'), 'utf8').slice(-2000);
      await started.stop();
      throw new Error(`podman did not start: ${error instanceof Error ? error.message : error}\n${tail}`);
    }
  }

  async #ready(): Promise<void> {
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(50)) {
      if (this.#process.exitCode !== null) throw new Error(`it ended with ${this.#process.exitCode}`);
      if (existsSync(this.socket) && (await this.api.ping().catch(() => undefined))) return;
    }
    throw new Error('no answer within 30 s');
  }

  /** As when it crashes. Containers and their monitors go on. */
  async kill(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  /** After `kill`, over the same storage, network and mounts. */
  async restart(): Promise<void> {
    const heir = processesNaming(this.folder).find(pid => commandOf(pid).includes(this.folder));
    if (heir === undefined) throw new Error('nothing of the service is left, so its network and mounts are gone');
    rmSync(this.socket, { force: true });
    this.#process = launch(this.folder, ['nsenter', '--target', String(heir), '--net', '--mount']);
    await this.#ready();
  }

  /** Monitors outlive both the service and, for minutes, what they watched over. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      if (!(await Promise.race([exited, sleep(10_000, undefined, { ref: false })]))) this.#process.kill('SIGKILL');
      await exited;
    }
    await killAllNaming(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function launch(folder: string, inside: readonly string[]): ChildProcess {
  const log = openSync(path.join(folder, 'podman.log'), 'a');
  const [program, ...args] = inside;
  const flags = [...podmanStore(folder), 'system', 'service', '--time=0', `unix://${path.join(folder, 'podman.sock')}`];
  const service = spawn(program!, [...args, '--', 'podman', ...flags], {
    stdio: ['ignore', log, log],
    env: {
      PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: folder,
      CONTAINERS_CONF: podmanConfiguration(folder),
      TMPDIR: folder,
    },
  });
  closeSync(log);
  return service;
}

/** Arguments for a storage of one's own. The path of the run root may have no more than 50 characters. */
export function podmanStore(folder: string): readonly string[] {
  const at = (name: string) => path.join(folder, name);
  return ['--root', at('root'), '--runroot', at('r'), '--tmpdir', at('tmp'), '--storage-driver', 'overlay'];
}

/** No limit is raised, which takes a capability that a machine inside another may lack. */
export function configurePodman(folder: string): void {
  writeFileSync(
    podmanConfiguration(folder),
    [
      '[containers]',
      'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]',
      '[engine]',
      'cgroup_manager = "cgroupfs"',
      'runtime = "runc"',
      'events_logger = "file"',
      '',
    ].join('\n'),
  );
}

export const podmanConfiguration = (folder: string): string => path.join(folder, 'containers.conf');

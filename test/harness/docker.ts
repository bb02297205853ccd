import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { eventually } from './eventually.ts';
import { commandOf, killAllNaming, killOnceNaming, processesNaming } from './processes.ts';

/**
 * A real Docker daemon of one's own: data, sockets, network and mounts live in a temporary folder and in private
 * network and mount namespaces, so that nothing of the machine changes and all of it goes with the daemon.
 */
export class DockerDaemon {
  readonly folder: string;
  readonly socket: string;
  readonly api: Docker;
  #process: ChildProcess;
  readonly #cgroup: string;
  /** A test that is interrupted runs no `finally`. */
  readonly #atExit = () => this.#killNow();

  private constructor(folder: string, daemon: ChildProcess, cgroup: string) {
    this.folder = folder;
    // Before folders are cleared, so that nobody writes there any more.
    process.prependOnceListener('exit', this.#atExit);
    this.socket = path.join(folder, 'docker.sock');
    this.api = new Docker({ socketPath: this.socket });
    this.#process = daemon;
    this.#cgroup = cgroup;
  }

  /** Why a daemon cannot run here; undefined when it can. */
  static missing(): string | undefined {
    if (process.getuid?.() !== 0) return 'dockerd needs root';
    if (!existsSync('/usr/sbin/dockerd')) return "dockerd is missing: install Debian's docker.io";
    return undefined;
  }

  static async start(options: DaemonOptions = {}): Promise<DockerDaemon> {
    removeAbandonedCgroups();
    const folder = mkdtempSync(path.join(tmpdir(), 'coppice-docker-'));
    const cgroup = `coppice-docker-${process.pid}-${path.basename(folder).slice(-6)}`;
    writeConfig(folder, cgroup, options);
    const daemon = launch(folder, ['unshare', '--net', '--mount']);
    const started = new DockerDaemon(folder, daemon, cgroup);
    try {
      await started.#ready();
      return started;
    } catch (error) {
      const tail = readFileSync(path.join(folder, 'dockerd.log'), 'utf8').slice(-2000);
      await started.stop();
      throw new Error(`dockerd did not start: ${error instanceof Error ? error.message : error}\n${tail}`);
    }
  }

  /** Whose network and mounts are the daemon's. */
  get pid(): number {
    return this.#process.pid!;
  }

  /** `docker`'s arguments that lead to this daemon. */
  get cli(): readonly string[] {
    return ['--host', `unix://${this.socket}`];
  }

  /** A folder becomes an image. */
  async importFolder(folder: string, tag: string): Promise<void> {
    const tar = spawn('tar', ['-C', folder, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const imported = await this.api.importImage(tar.stdout!, { repo: tag, tag: 'latest' });
    await new Promise<void>((resolve, reject) =>
      this.api.modem.followProgress(imported, error => (error ? reject(error) : resolve())),
    );
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (Date.now() < deadline) {
      if (this.#process.exitCode !== null) throw new Error(`it ended with ${this.#process.exitCode}`);
      if (existsSync(this.socket) && (await this.api.ping().catch(() => undefined))) return;
      await sleep(50);
    }
    throw new Error('no answer within 30 s');
  }

  /** As when it crashes: at once, and nothing else with it. What it started goes on. */
  async kill(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  /** After `kill`, over the same data, network and mounts. */
  async restart(): Promise<void> {
    const heir = processesNaming(this.folder).find(pid => commandOf(pid).includes(this.folder));
    if (heir === undefined) throw new Error('nothing of the daemon is left, so its network and mounts are gone');
    rmSync(this.socket, { force: true });
    // Its containerd died with it; where nobody takes note of that, it would be waited for.
    rmSync(path.join(this.folder, 'exec', 'containerd', 'containerd.pid'), { force: true });
    this.#process = launch(this.folder, ['nsenter', '--target', String(heir), '--net', '--mount']);
    await this.#ready();
  }

  #killNow(): void {
    this.#process.kill('SIGKILL');
    killOnceNaming(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async stop(): Promise<void> {
    process.off('exit', this.#atExit);
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      if (!(await Promise.race([exited, sleep(20_000, undefined, { ref: false })]))) this.#process.kill('SIGKILL');
      await exited;
    }
    // containerd and its shims name our folder in their arguments.
    await killAllNaming(this.folder);
    rmSync(this.folder, { recursive: true, force: true });
    // Its last processes may not be quite gone.
    await eventually('its control groups are gone', () => removeCgroups(this.#cgroup));
  }
}

export interface DaemonOptions {
  /** Containers go on while the daemon is away. */
  readonly liveRestore?: boolean;
}

function launch(folder: string, inside: readonly string[]): ChildProcess {
  const log = openSync(path.join(folder, 'dockerd.log'), 'a');
  const [program, ...args] = inside;
  const config = path.join(folder, 'daemon.json');
  const daemon = spawn(program!, [...args, '--', '/usr/sbin/dockerd', '--config-file', config], {
    stdio: ['ignore', log, log],
    // The docker on PATH may be newer than the daemon, never the other way round.
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: folder },
  });
  closeSync(log);
  return daemon;
}

/** In place of the machine's own. */
function writeConfig(folder: string, cgroup: string, options: DaemonOptions): void {
  const config = {
    'data-root': path.join(folder, 'data'),
    'exec-root': path.join(folder, 'exec'),
    pidfile: path.join(folder, 'dockerd.pid'),
    hosts: [`unix://${path.join(folder, 'docker.sock')}`],
    'cgroup-parent': `/${cgroup}`,
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    'shutdown-timeout': 2,
    'log-level': 'warn',
    'live-restore': options.liveRestore === true,
  };
  mkdirSync(config['exec-root']);
  writeFileSync(path.join(folder, 'daemon.json'), JSON.stringify(config));
}

/** Groups can be removed only when their last process is gone, for which an interrupted test has no time. */
function removeAbandonedCgroups(): void {
  for (const name of readdirSync('/sys/fs/cgroup/pids')) {
    const [, owner] = /^coppice-docker-(\d+)-/.exec(name) ?? [];
    if (owner && !existsSync(`/proc/${owner}`)) removeCgroups(name);
  }
}

/** false: something is still in them. */
export function removeCgroups(name: string): boolean {
  try {
    for (const controller of readdirSync('/sys/fs/cgroup')) {
      const folder = path.join('/sys/fs/cgroup', controller, name);
      if (!existsSync(folder)) continue;
      for (const child of readdirSync(folder, { withFileTypes: true }))
        if (child.isDirectory()) rmdirSync(path.join(folder, child.name));
      rmdirSync(folder);
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    return false;
  }
}

/** The version of the daemon's package, for reports. */
export function dockerVersion(): string {
  return execFileSync('/usr/sbin/dockerd', ['--version'], { encoding: 'utf8' }).trim();
}

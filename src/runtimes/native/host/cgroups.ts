import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { ProcessExit } from '../../runtime.ts';
import type { CreateSandbox, HostSettings } from '../hostApi.ts';
import { cgroupsPath } from './paths.ts';

type Limits = CreateSandbox['limits'];

/** Without a limit of its own a sandbox may have this many processes: enough for any build, too few to take the machine down. */
const defaultPids = 4096;
const periodUs = 100_000;

/** Limits and accounts by the cgroup folders that were handed over, where there are any. */
export class Cgroups {
  readonly #settings: HostSettings;

  constructor(settings: HostSettings) {
    this.#settings = settings;
  }

  /** undefined: no cgroups here. A limit that cannot be held is refused, never dropped. */
  create(sandbox: string, limits: Limits): SandboxCgroups | undefined {
    const { cgroups, cgroupsReason } = this.#settings;
    const controllers = cgroups?.controllers ?? [];
    if (limits.memory !== null && !controllers.includes('memory')) throw refused('memory', cgroupsReason);
    if (limits.cpus !== null && !controllers.includes('cpu')) throw refused('cpus', cgroupsReason);
    if (!cgroups) return undefined;
    return cgroups.version === 1
      ? new OldCgroups(sandbox, controllers, limits)
      : new UnifiedCgroup(sandbox, controllers, limits);
  }

  get limitsPids(): boolean {
    return this.#settings.cgroups?.controllers.includes('pids') ?? false;
  }
}

/** One sandbox's cgroups. */
export interface SandboxCgroups {
  /** cgroup.procs files a process enters before anything of the sandbox runs. */
  readonly procs: readonly string[];
  /** Stops and continues everything in it, where the kernel lets us. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  usage(): ProcessExit['resources'];
  oomKilled(): boolean;
  /** When everything in it has ended. */
  remove(): Promise<void>;
}

class OldCgroups implements SandboxCgroups {
  readonly #folders: Readonly<Record<string, string>>;

  constructor(sandbox: string, controllers: readonly string[], limits: Limits) {
    this.#folders = Object.fromEntries(controllers.map(name => [name, path.join(cgroupsPath, name, sandbox)]));
    // Controllers that are mounted together share a folder.
    for (const folder of Object.values(this.#folders)) mkdirSync(folder, { recursive: true });
    if (limits.memory !== null) {
      this.#set('memory', 'memory.limit_in_bytes', limits.memory);
      this.#setIfThere('memory', 'memory.memsw.limit_in_bytes', limits.memory);
    }
    if (limits.cpus !== null) {
      this.#set('cpu', 'cpu.cfs_period_us', periodUs);
      this.#set('cpu', 'cpu.cfs_quota_us', Math.max(1000, Math.round(limits.cpus * periodUs)));
    }
    this.#setIfThere('pids', 'pids.max', limits.pids ?? defaultPids);
  }

  get procs(): readonly string[] {
    return Object.values(this.#folders).map(folder => path.join(folder, 'cgroup.procs'));
  }

  async freeze(): Promise<void> {
    if (!this.#folders.freezer) return;
    this.#set('freezer', 'freezer.state', 'FROZEN');
    for (let tries = 0; tries < 200 && this.#get('freezer', 'freezer.state')?.trim() !== 'FROZEN'; tries++)
      await pause(1);
  }

  async thaw(): Promise<void> {
    this.#setIfThere('freezer', 'freezer.state', 'THAWED');
  }

  usage(): ProcessExit['resources'] {
    return {
      cpuMs: scaled(this.#get('cpuacct', 'cpuacct.usage'), 1e-6),
      maxRss: scaled(this.#get('memory', 'memory.max_usage_in_bytes'), 1),
    };
  }

  oomKilled(): boolean {
    return /^oom_kill [1-9]/m.test(this.#get('memory', 'memory.oom_control') ?? '');
  }

  remove(): Promise<void> {
    return removeFolders(Object.values(this.#folders));
  }

  #set(controller: string, file: string, value: number | string): void {
    writeFileSync(path.join(this.#folders[controller]!, file), String(value));
  }

  #setIfThere(controller: string, file: string, value: number | string): void {
    try {
      if (this.#folders[controller]) this.#set(controller, file, value);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && (error as NodeJS.ErrnoException).code !== 'EACCES')
        throw error;
    }
  }

  #get(controller: string, file: string): string | undefined {
    return this.#folders[controller] && readIfThere(path.join(this.#folders[controller], file));
  }
}

class UnifiedCgroup implements SandboxCgroups {
  readonly #folder: string;

  constructor(sandbox: string, controllers: readonly string[], limits: Limits) {
    this.#folder = path.join(cgroupsPath, 'all', sandbox);
    mkdirSync(this.#folder);
    if (limits.memory !== null) {
      this.#set('memory.max', limits.memory);
      if (readIfThere(path.join(this.#folder, 'memory.swap.max')) !== undefined) this.#set('memory.swap.max', 0);
    }
    if (limits.cpus !== null) this.#set('cpu.max', `${Math.max(1000, Math.round(limits.cpus * periodUs))} ${periodUs}`);
    if (controllers.includes('pids')) this.#set('pids.max', limits.pids ?? defaultPids);
  }

  get procs(): readonly string[] {
    return [path.join(this.#folder, 'cgroup.procs')];
  }

  async freeze(): Promise<void> {
    this.#set('cgroup.freeze', 1);
    for (let tries = 0; tries < 200 && !/^frozen 1/m.test(this.#get('cgroup.events') ?? ''); tries++) await pause(1);
  }

  async thaw(): Promise<void> {
    this.#set('cgroup.freeze', 0);
  }

  usage(): ProcessExit['resources'] {
    return {
      cpuMs: scaled(/^usage_usec (\d+)/m.exec(this.#get('cpu.stat') ?? '')?.[1], 1e-3),
      maxRss: scaled(this.#get('memory.peak'), 1),
    };
  }

  oomKilled(): boolean {
    return /^oom_kill [1-9]/m.test(this.#get('memory.events') ?? '');
  }

  remove(): Promise<void> {
    return removeFolders([this.#folder]);
  }

  #set(file: string, value: number | string): void {
    writeFileSync(path.join(this.#folder, file), String(value));
  }

  #get(file: string): string | undefined {
    return readIfThere(path.join(this.#folder, file));
  }
}

function refused(limit: 'memory' | 'cpus', reason: string): CoppiceError {
  return new CoppiceError('unsupported', `a limit of ${limit} cannot be held here: ${reason}`, {
    field: `limits.${limit}`,
    fix: `Leave limits.${limit} out, or use the docker runtime.`,
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function scaled(text: string | undefined, factor: number): number | null {
  const value = Number.parseInt(text ?? '', 10);
  return Number.isNaN(value) ? null : Math.round(value * factor);
}

/** The kernel takes a moment to let go of processes that ended. */
async function removeFolders(folders: readonly string[]): Promise<void> {
  for (const folder of new Set(folders)) {
    for (let tries = 0; tries < 100; tries++) {
      try {
        rmdirSync(folder);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') break;
        await pause(5);
      }
    }
  }
}

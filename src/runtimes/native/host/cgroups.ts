import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { ProcessExit } from '../../runtime.ts';
import type { CreateSandbox, HostSettings } from '../hostApi.ts';
import { cgroupsPath } from './paths.ts';

type Limits = CreateSandbox['limits'];

/** Without a limit of its own a sandbox may have this many processes: enough for any build, too few to take the machine down. */
export const defaultPids = 4096;
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
  /** Files a process writes 0 to, to be in before anything of the sandbox runs. */
  readonly entrances: readonly string[];
  /** Stops everything in it and answers what lets it go on; undefined where these groups cannot. */
  freeze(): Promise<(() => void) | undefined>;
  usage(): ProcessExit['resources'];
  oomKilled(): boolean;
  /** When everything in it has ended. */
  remove(): Promise<void>;
}

class OldCgroups implements SandboxCgroups {
  readonly #folders: Readonly<Record<string, string>>;
  readonly #freezer: string | undefined;

  constructor(sandbox: string, controllers: readonly string[], limits: Limits) {
    // Every group a process enters costs time: only what counts or limits something here.
    const entered = ['memory', 'cpuacct', 'pids', ...(limits.cpus === null ? [] : ['cpu'])];
    const folder = (name: string) => path.join(cgroupsPath, name, sandbox);
    this.#folders = Object.fromEntries(
      entered.filter(name => controllers.includes(name)).map(name => [name, folder(name)]),
    );
    this.#freezer = controllers.includes('freezer') && controllers.includes('pids') ? folder('freezer') : undefined;
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

  /** `tasks`, not `cgroup.procs`: a single thread that moves itself does not wait for a lock of the whole machine. */
  get entrances(): readonly string[] {
    return Object.values(this.#folders).map(folder => path.join(folder, 'tasks'));
  }

  /** Entered only now: most sandboxes are never frozen. */
  async freeze(): Promise<(() => void) | undefined> {
    const freezer = this.#freezer;
    if (!freezer) return undefined;
    mkdirSync(freezer, { recursive: true });
    const state = path.join(freezer, 'freezer.state');
    const thaw = () => writeFileSync(state, 'THAWED');
    writeFileSync(state, 'FROZEN');
    let moved = -1;
    for (let tries = 0; moved !== 0 && tries < 20; tries++) {
      const inside = new Set(processesIn(freezer));
      const outside = processesIn(this.#folders.pids!).filter(pid => !inside.has(pid));
      for (const pid of outside) writeIfLiving(path.join(freezer, 'cgroup.procs'), pid);
      moved = outside.length;
    }
    return settled(() => moved === 0 && readIfThere(state)?.trim() === 'FROZEN', thaw);
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
    return removeFolders([...Object.values(this.#folders), ...(this.#freezer ? [this.#freezer] : [])]);
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

  get entrances(): readonly string[] {
    return [path.join(this.#folder, 'cgroup.procs')];
  }

  async freeze(): Promise<(() => void) | undefined> {
    this.#set('cgroup.freeze', 1);
    return settled(
      () => /^frozen 1/m.test(this.#get('cgroup.events') ?? ''),
      () => this.#set('cgroup.freeze', 0),
    );
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

/** A group that will not freeze goes on; the processes are stopped one by one then. */
async function settled(frozen: () => boolean, thaw: () => void): Promise<(() => void) | undefined> {
  for (let tries = 0; tries < 1000; tries++) {
    if (frozen()) return thaw;
    await pause(1);
  }
  thaw();
  return undefined;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function processesIn(folder: string): string[] {
  return (readIfThere(path.join(folder, 'cgroup.procs')) ?? '').split('\n').filter(Boolean);
}

function writeIfLiving(file: string, pid: string): void {
  try {
    writeFileSync(file, pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
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

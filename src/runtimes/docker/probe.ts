import type { Capabilities } from '../runtime.ts';
import type { Daemon } from './connect/connection.ts';
import { insidePrograms } from './inside.ts';

/** What the daemon says it can do. */
interface Info {
  readonly MemoryLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly PidsLimit?: boolean;
  readonly SecurityOptions?: readonly string[] | null;
  readonly ServerVersion?: string;
  readonly OperatingSystem?: string;
}

export function capabilitiesOf(daemon: Daemon, info: Info): Capabilities {
  const limits = {
    memory: info.MemoryLimit !== false,
    cpus: info.CpuCfsQuota !== false,
    pids: info.PidsLimit !== false,
  };
  const seccomp = (info.SecurityOptions ?? []).some(option => option.includes('seccomp'));
  const product = daemon.podman ? 'Podman' : 'Docker';
  return {
    limits,
    network: { nat: true, none: true, host: true },
    resources: { cpu: false, memory: false },
    seccomp,
    build: true,
    notes: [
      `${product} ${daemon.version} at ${daemon.endpoint.url}, found by ${daemon.endpoint.from}`,
      ...Object.entries(limits)
        .filter(([, held]) => !held)
        .map(([name]) => `a limit of ${name} is not held: the daemon's machine lacks the cgroup for it`),
      ...(seccomp ? [] : ['the daemon filters no system calls']),
      ...(insidePrograms[daemon.architecture]
        ? []
        : [`no sandboxes without a command: nothing of ours runs on ${daemon.architecture}`]),
      'resources used are not measured',
    ],
  };
}

export const noCapabilities: Capabilities = {
  limits: { memory: false, cpus: false, pids: false },
  network: { nat: false, none: false, host: false },
  resources: { cpu: false, memory: false },
  seccomp: false,
  build: false,
  notes: [],
};

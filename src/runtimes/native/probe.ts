import type { Capabilities } from '../runtime.ts';
import type { HostSettings } from './hostApi.ts';
import { type Machine, readText } from './machine.ts';
import { isRealRoot } from './namespace.ts';

/** Whether sandboxes can run here, and when not, which step fails and what to do about it. */

interface Obstacle {
  readonly reason: string;
  readonly fix: string;
}

/** What can be told without trying. */
export function missingTool(machine: Machine): Obstacle | undefined {
  if (process.platform !== 'linux') {
    return { reason: 'the native runtime needs Linux', fix: 'Use the docker runtime on this machine.' };
  }
  const { tools } = machine;
  if (!tools.unshare || !tools.mount || (isRealRoot && !tools.nsenter)) {
    return { reason: 'unshare, nsenter or mount is missing', fix: 'Install the package util-linux.' };
  }
  if (!tools.crun && !tools.runc) {
    return { reason: 'there is no OCI runtime: neither crun nor runc', fix: 'Install the package crun.' };
  }
  return undefined;
}

/** Why the namespaces or the first sandbox did not come to be, from what was complained about and how the machine is set up. */
export function explain(complaint: string): Obstacle {
  const apparmor = readText('/proc/sys/kernel/apparmor_restrict_unprivileged_userns').trim();
  const clone = readText('/proc/sys/kernel/unprivileged_userns_clone').trim();
  const namespaces = readText('/proc/sys/user/max_user_namespaces').trim();
  const step = complaint.replace('the native runtime did not start: ', '').trim().replace(/\s+/g, ' ').slice(0, 400);
  if (!isRealRoot && clone === '0') {
    return {
      reason: `user namespaces are switched off for users (kernel.unprivileged_userns_clone): ${step}`,
      fix: 'Ask an administrator for `sysctl kernel.unprivileged_userns_clone=1`.',
    };
  }
  if (namespaces === '0') {
    return {
      reason: `user namespaces are switched off (user.max_user_namespaces): ${step}`,
      fix: 'Ask an administrator for `sysctl user.max_user_namespaces=15000`.',
    };
  }
  if (!isRealRoot && apparmor === '1') {
    return {
      reason: `AppArmor keeps unshare from making user namespaces: ${step}`,
      fix: 'Ask an administrator for `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or for a profile with `userns` for /usr/bin/unshare.',
    };
  }
  if (/newuidmap|newgidmap|subuid|uid range/.test(step)) {
    return {
      reason: `the range of user ids could not be mapped: ${step}`,
      fix: 'Give this user a range with `usermod --add-subuids 100000-165535 --add-subgids 100000-165535`.',
    };
  }
  if (/unshare failed|unshare:|nsenter:/.test(step) && /permitted|denied|Permission/.test(step)) {
    return {
      reason: `this process may not make namespaces${isConfined() ? ', it is in a container itself' : ''}: ${step}`,
      fix: 'In a container, start that with `--privileged`; else use the docker runtime.',
    };
  }
  if (/overlay/.test(step)) {
    return {
      reason: `the overlay file system was refused: ${step}`,
      fix: 'Use a kernel of 5.11 or newer, and keep COPPICE_HOME on ext4, xfs or btrfs.',
    };
  }
  return {
    reason: `the native runtime did not start: ${step}`,
    fix: 'See `coppice engine log`, or use the docker runtime.',
  };
}

export function capabilitiesOf(
  machine: Machine,
  settings: HostSettings,
  learned: { readonly pidMax: boolean; readonly hostRefused: string | null },
): Capabilities {
  const controllers = settings.cgroups?.controllers ?? [];
  const memory = controllers.includes('memory');
  const cpus = controllers.includes('cpu');
  const pids = controllers.includes('pids') || learned.pidMax;
  const cpuTime = cpus || controllers.includes('cpuacct');
  const noted: [boolean, string][] = [
    [learned.hostRefused === null, `no image of this machine by host:. ${learned.hostRefused}`],
    [memory && cpus, `limits of memory and cpus are refused: ${settings.cgroupsReason}`],
    [pids, `a limit of processes is refused: ${settings.cgroupsReason}`],
    [cpuTime && memory, `resources used are not known: ${settings.cgroupsReason}`],
    [settings.nat !== null, `the network nat is none: ${natReason(machine)}`],
    [settings.ids === 'range', `only root is a user inside: ${idsReason(machine)}`],
    [machine.tools.script, 'no terminals: script is missing, install the package bsdutils (or util-linux-script)'],
  ];
  return {
    limits: { memory, cpus, pids },
    network: { nat: settings.nat !== null, none: true, host: true },
    resources: { cpu: cpuTime, memory },
    seccomp: true,
    build: false,
    notes: [...noted.filter(([there]) => !there).map(([, note]) => note), buildNote],
  };
}

const buildNote = 'Dockerfiles are not built yet: the docker runtime does, by coppice build --runtime docker';

function idsReason(machine: Machine): string {
  if (!machine.subordinateIds) {
    return 'this user has no range in /etc/subuid and /etc/subgid, add one with `usermod --add-subuids --add-subgids`';
  }
  return 'newuidmap is missing, install the package uidmap (or shadow-utils)';
}

export function natReason(machine: Machine): string {
  if (!machine.tools.slirp4netns) return 'install the package slirp4netns';
  return 'this user may not open /dev/net/tun, ask an administrator for `chmod 666 /dev/net/tun`';
}

export const noCapabilities: Capabilities = {
  limits: { memory: false, cpus: false, pids: false },
  network: { nat: false, none: false, host: false },
  resources: { cpu: false, memory: false },
  seccomp: false,
  build: false,
  notes: [],
};

/** In a container: a seccomp filter over us, or a root that is not the machine's. */
function isConfined(): boolean {
  return /^Seccomp:\s+2$/m.test(readText('/proc/self/status')) || readText('/proc/1/cgroup').includes('docker');
}

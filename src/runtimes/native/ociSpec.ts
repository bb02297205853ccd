/** The OCI runtime spec of one sandbox: as hardened as a default Docker container, and in a user namespace besides. */

export interface ContainerSpec {
  readonly rootfs: string;
  readonly process: ContainerProcessSpec;
  readonly hostname: string;
  /** Files of ours over files of the image. */
  readonly binds: readonly { readonly source: string; readonly target: string; readonly readOnly: boolean }[];
  /** Own and empty, the machine's, or a prepared namespace by its path. */
  readonly network: 'none' | 'host' | { readonly path: string };
  readonly seccomp: SeccompFilter;
  /** Where there is no cgroup: written inside the sandbox's own pid namespace before its command starts. */
  readonly pidMax: number | undefined;
}

/** A ready BPF program in base64, or the same policy as a list for a runtime that does not take one. */
export type SeccompFilter = { readonly program: string } | { readonly profile: object };

export interface ContainerProcessSpec {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ContainerUser;
  readonly tty: { readonly cols: number; readonly rows: number } | undefined;
}

export interface ContainerUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** What Docker leaves a container's root by default, each with its number in the kernel. */
const capabilityNumbers = {
  CAP_AUDIT_WRITE: 29,
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_MKNOD: 27,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_RAW: 13,
  CAP_SETFCAP: 31,
  CAP_SETGID: 6,
  CAP_SETPCAP: 8,
  CAP_SETUID: 7,
  CAP_SYS_CHROOT: 18,
};
const capabilities = Object.keys(capabilityNumbers);
/** All that a sandbox may ever have, a bit each. */
export const boundingBits = Object.values(capabilityNumbers).reduce((bits, number) => bits + 2 ** number, 0);

const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

/** Cgroups of ours among them, which the sandbox's root could change. */
const mountedInSys = [
  '/sys/fs/cgroup',
  '/sys/fs/bpf',
  '/sys/fs/fuse/connections',
  '/sys/kernel/debug',
  '/sys/kernel/tracing',
  '/sys/kernel/security',
];

const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

export function ociSpec(spec: ContainerSpec): object {
  return {
    ociVersion: '1.0.0',
    process: processSpec(spec.process),
    root: { path: spec.rootfs, readonly: false },
    hostname: spec.hostname,
    mounts: [
      ...systemMounts(spec.network),
      ...spec.binds.map(bind => ({
        destination: bind.target,
        type: 'bind',
        source: bind.source,
        options: ['bind', 'nosuid', 'nodev', bind.readOnly ? 'ro' : 'rw'],
      })),
    ],
    ...(spec.pidMax === undefined ? {} : { hooks: { createContainer: [pidMaxHook(spec.pidMax)] } }),
    ...('program' in spec.seccomp ? { annotations: { 'run.oci.seccomp_bpf_data': spec.seccomp.program } } : {}),
    linux: {
      namespaces: namespaces(spec.network),
      // The machine's own /sys, with all that is mounted within, comes along with its network.
      maskedPaths: spec.network === 'host' ? [...maskedPaths, ...mountedInSys] : maskedPaths,
      readonlyPaths,
      ...('profile' in spec.seccomp ? { seccomp: spec.seccomp.profile } : {}),
    },
  };
}

/** What a user has of them, a bit each: what `processSpec` says in names. */
export function capabilityBits(user: ContainerUser): number {
  return user.uid === 0 ? boundingBits : 0;
}

/** Also the whole of `crun exec -p`. */
export function processSpec(process: ContainerProcessSpec): object {
  const effective = process.user.uid === 0 ? capabilities : [];
  return {
    terminal: process.tty !== undefined,
    ...(process.tty === undefined ? {} : { consoleSize: { width: process.tty.cols, height: process.tty.rows } }),
    user: { uid: process.user.uid, gid: process.user.gid, additionalGids: process.user.additionalGids },
    args: process.args,
    env: process.env,
    cwd: process.cwd,
    capabilities: { bounding: capabilities, effective, permitted: effective, inheritable: [], ambient: [] },
    noNewPrivileges: true,
  };
}

function systemMounts(network: ContainerSpec['network']): object[] {
  return [
    mount('/proc', 'proc', 'proc', ['nosuid', 'noexec', 'nodev']),
    mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620']),
    mount('/dev/shm', 'tmpfs', 'shm', ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']),
    mount('/dev/mqueue', 'mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
    // A new sysfs needs a network namespace of one's own.
    network === 'host'
      ? mount('/sys', 'none', '/sys', ['rbind', 'rprivate', 'nosuid', 'noexec', 'nodev', 'ro'])
      : mount('/sys', 'sysfs', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
  ];
}

function mount(destination: string, type: string, source: string, options: readonly string[]): object {
  return { destination, type, source, options };
}

function namespaces(network: ContainerSpec['network']): object[] {
  const own = ['pid', 'ipc', 'uts', 'mount', 'cgroup'].map(type => ({ type }));
  if (network === 'host') return own;
  return [...own, network === 'none' ? { type: 'network' } : { type: 'network', path: network.path }];
}

/** Runs in the container's namespaces while /proc is still the host's and writable; the value is per pid namespace. */
function pidMaxHook(pidMax: number): object {
  return {
    path: '/bin/sh',
    // It reads what it is told first: crun fails when a hook ends before that is written.
    args: ['sh', '-c', 'while read -r _; do :; done; echo "$1" > /proc/sys/kernel/pid_max', 'sh', String(pidMax)],
    env: [],
  };
}

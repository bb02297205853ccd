import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { CgroupDelegation } from './cgroupDelegation.ts';
import type { HostSettings } from './hostApi.ts';

/** The namespace host's process: a Node of ours, root of its own user, mount, pid, ipc and cgroup namespaces. */
export interface HostProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the process and with it everything in its namespaces is gone. */
  readonly gone: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Takes the machine-side ends away; the kernel does the rest. */
  kill(): void;
}

export interface NamespaceOptions {
  /** COPPICE_HOME/native. */
  readonly home: string;
  readonly hostScript: string;
  readonly settings: HostSettings;
  /** Its folders become /run/g/<controller>. */
  readonly cgroups: CgroupDelegation;
}

/** Where real root's namespaces begin on the machine; no account of the machine has these ids. */
export const firstId = 1_000_000;
const idCount = 65_536;

/** Root of the machine, not of some user namespace: only that one may map ids it does not own. */
export const isRealRoot = process.getuid?.() === 0 && mapsAllIds();

/** In the store: where the machine's side makes what it hands over. The namespace's root cannot reach into it. */
export const layingFolder = 'laying';

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Makes /run a tmpfs with the store, Node, the host's script and the OCI runtime under short names, and what /etc/resolv.conf is a link to.
 * Without that slirp4netns would find no name server. It is put together aside and moved
 * over /run at the end, for any of these may lie below /run themselves. Every value is an argument or in the environment.
 */
const arrangeRun = `
set -e
if [ -n "$COPPICE_CGROUP_JOIN" ]; then echo 0 > "$COPPICE_CGROUP_JOIN/cgroup.procs"; fi
aside=$COPPICE_STORE/mount
mount -n -t tmpfs -o "mode=755,nosuid$COPPICE_OWNER" tmpfs "$aside"
cd "$aside"
mkdir n x j g o
chown -- "$COPPICE_ROOT" . n x j g o
mount -n --bind -- "$COPPICE_STORE" n
mount -n --bind -- "$COPPICE_NODE_FOLDER" x
mount -n --bind -- "$COPPICE_SCRIPT_FOLDER" j
runtime=$(command -v "$COPPICE_RUNTIME" || true)
if [ -n "$runtime" ] && : > "o/$COPPICE_RUNTIME" && mount -n --bind -- "$runtime" "o/$COPPICE_RUNTIME"; then
  if ! mount -n -o remount,bind,ro,nosuid -- "o/$COPPICE_RUNTIME"; then
    umount -n -- "o/$COPPICE_RUNTIME"
    rm -- "o/$COPPICE_RUNTIME"
  fi
fi
for pair in $COPPICE_CGROUPS; do
  mkdir "g/\${pair%%=*}"
  mount -n --bind -- "\${pair#*=}" "g/\${pair%%=*}"
done
resolver=$(readlink -f /etc/resolv.conf || true)
case $resolver in
  /run/*/*)
    folder=\${resolver%/*}
    if (umask 022 && mkdir -p ".\${folder#/run}"); then
      mount -n --bind -- "$folder" ".\${folder#/run}" || cp -- "$resolver" ".\${resolver#/run}" || true
    fi ;;
esac
`;

/**
 * ext4 makes files near their folder, and for minutes steps over every file that was just deleted there, one by one for each
 * new one: the second of two imports, or of two runs that write thousands of files, took ten times as long. These folders'
 * children are spread over the disk instead. Other file systems know no such thing and need none.
 */
const spreadFolders = `
chattr +T "$COPPICE_STORE/layers" "$COPPICE_STORE/runs" "$COPPICE_STORE/staging" "$COPPICE_STORE/${layingFolder}" 2>/dev/null || true
`;

/**
 * Only real root can: what is mounted within the machine's folders (as a container's /etc/hosts) would be locked inside the
 * namespace, and the kernel refuses an overlay over a folder with locked mounts. Overlays do not show them anyway.
 */
const clearFolders = `
while read -r _ _ _ _ point _; do
  case $point in
    /usr/*|/etc/*|/opt/*|/bin/*|/sbin/*|/lib/*|/lib32/*|/lib64/*|/libx32/*|/nix/*|/gnu/*) umount -n -l -- "$point" || true ;;
  esac
done < /proc/self/mountinfo
`;

/** Only real root can: a network tunnel device that its mapped self may open, for slirp4netns. */
const openTunnel = `
if [ -c /dev/net/tun ] && mknod -m 666 tun c 10 200 2>/dev/null; then mount -n --bind tun /dev/net/tun; fi
`;

const moveRun = `
cd /
mount -n --move "$aside" /run
`;

/** crun 1.8 refuses some cgroup layouts, even when it is to leave cgroups alone; PID 1 stays a shell that reaps what is left to it. */
const runHost = `
if [ "$COPPICE_RUNTIME" = crun ]; then
  mount -n -t tmpfs -o ro,mode=755,nosuid,nodev,noexec tmpfs /sys/fs/cgroup 2>/dev/null || true
fi
cd /
"/run/x/$COPPICE_NODE" "/run/j/$COPPICE_SCRIPT" "$COPPICE_SETTINGS"
`;

function mapsAllIds(): boolean {
  try {
    return /^\s*0\s+0\s+4294967295\s*$/m.test(readFileSync('/proc/self/uid_map', 'utf8'));
  } catch {
    // No /proc, no user namespaces to speak of.
    return false;
  }
}

const unshareInside = ['-m', '-C', '-p', '-i', '--fork', '--mount-proc', '--kill-child=KILL'];

/** `makeStore` comes before. */
export async function startHost(options: NamespaceOptions): Promise<HostProcess> {
  return isRealRoot ? startAsRoot(options) : startAsUser(options);
}

/**
 * The folders that must be there before the namespace is; real root gives them to the namespace's root. The store itself
 * stays ours: what real root does by a path in it cannot be led elsewhere by a folder that was swapped for a link.
 */
export function makeStore(home: string): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  if (isRealRoot) {
    chownSync(home, 0, 0);
    chmodSync(home, 0o711);
  }
  const laying = path.join(home, layingFolder);
  mkdirSync(laying, { recursive: true, mode: 0o700 });
  // What an engine that died was about to hand over.
  for (const name of readdirSync(laying)) rmSync(path.join(laying, name), { recursive: true, force: true });
  for (const name of ['layers', 'meta', 'runs', 'inbox', 'staging', 'mount']) {
    const folder = path.join(home, name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (isRealRoot) chownSync(folder, firstId, firstId);
  }
}

function startAsUser(options: NamespaceOptions): HostProcess {
  const mapping = options.settings.ids === 'range' ? ['--map-root-user', '--map-auto'] : ['--map-root-user'];
  const script = spreadFolders + arrangeRun + moveRun + runHost;
  return hostProcess(
    spawn('unshare', ['-U', ...mapping, ...unshareInside, '--', '/bin/sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: environment(options, ''),
    }),
  );
}

/**
 * A user namespace whose ids belong to nobody on this machine, so that its root cannot read what only the machine's root
 * may. That root cannot reach COPPICE_HOME either (it is below root's 0700 home): so the binds are made before.
 */
async function startAsRoot(options: NamespaceOptions): Promise<HostProcess> {
  const holder = await holdUserNamespace();
  const enter = ['nsenter', `--user=/proc/${holder.pid}/ns/user`, '-S', '0', '-G', '0', '--'];
  const inside = ['unshare', ...unshareInside, '--', '/bin/sh', '-c', runHost];
  const script = `${spreadFolders}${arrangeRun}${openTunnel}${clearFolders}${moveRun}exec "$@"`;
  const child = spawn('unshare', ['-m', '--', '/bin/sh', '-c', script, 'sh', ...enter, ...inside], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: environment(options, `,uid=${firstId},gid=${firstId}`),
  });
  // The namespace lives on in those who entered it.
  child.stdout.once('data', () => holder.stdin?.end());
  child.once('exit', () => holder.kill('SIGKILL'));
  return hostProcess(child);
}

async function holdUserNamespace(): Promise<ChildProcess> {
  const holder = spawn('unshare', ['-U', '--', '/bin/sh', '-c', 'echo && exec cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let complaint = '';
  holder.stderr.on('data', (text: Buffer) => {
    complaint += text;
  });
  await new Promise<void>((resolve, reject) => {
    holder.once('error', reject);
    holder.once('exit', () => reject(namespaceRefused(complaint)));
    holder.stdout.once('data', () => resolve());
  });
  holder.stdout.resume();
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, `0 ${firstId} ${idCount}\n`);
  return holder;
}

function namespaceRefused(complaint: string): CoppiceError {
  return new CoppiceError('runtime_unavailable', `no user namespace could be made: ${complaint.trim()}`);
}

function environment(options: NamespaceOptions, owner: string): NodeJS.ProcessEnv {
  const { home, hostScript, settings, cgroups } = options;
  return {
    PATH: process.env.PATH ? `${searchPath}:${process.env.PATH}` : searchPath,
    LANG: 'C.UTF-8',
    ...(process.versions.electron || process.env.ELECTRON_RUN_AS_NODE ? { ELECTRON_RUN_AS_NODE: '1' } : {}),
    COPPICE_STORE: home,
    COPPICE_OWNER: owner,
    COPPICE_ROOT: isRealRoot ? `${firstId}:${firstId}` : '0:0',
    COPPICE_NODE_FOLDER: path.dirname(process.execPath),
    COPPICE_NODE: path.basename(process.execPath),
    COPPICE_SCRIPT_FOLDER: path.dirname(hostScript),
    COPPICE_SCRIPT: path.basename(hostScript),
    COPPICE_RUNTIME: settings.runtime,
    COPPICE_SETTINGS: JSON.stringify(settings),
    COPPICE_CGROUP_JOIN: cgroups.join ?? '',
    COPPICE_CGROUPS: Object.entries(cgroups.folders)
      .map(([controller, folder]) => `${controller}=${folder}`)
      .join(' '),
  };
}

function hostProcess(child: ChildProcessByStdio<Writable, Readable, Readable>): HostProcess {
  const gone = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  // Whoever waits for it is told; nobody waiting is no crash.
  gone.catch(() => undefined);
  child.stdin.on('error', () => child.kill('SIGKILL'));
  return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, gone, kill: () => child.kill('SIGKILL') };
}

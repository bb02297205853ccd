import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { reportingFailure, run, succeeds } from './command.mjs';

/** What each need takes from Debian. */
export const needs = {
  sandboxes: ['crun', 'uidmap', 'slirp4netns'],
  tests: ['chromium'],
  registries: ['docker-registry', 'skopeo', 'umoci', 'busybox-static', 'openssl'],
  'a Debian image': ['mmdebstrap'],
  'images of other tools': ['docker.io', 'iptables', 'podman', 'buildah'],
  'a Docker daemon': ['docker.io', 'iptables'],
  daemons: ['docker.io', 'iptables', 'podman', 'busybox-static'],
  benchmarks: [
    ...['docker.io', 'iptables', 'iproute2', 'podman', 'bubblewrap', 'busybox-static'],
    ...['gcc', 'libc6-dev', 'rsync', 'git', 'ostree'],
  ],
  'building the editor': ['build-essential', 'python3', 'pkg-config', 'libkrb5-dev', 'libsecret-1-dev'],
};

/** Installs what the given needs lack, or throws one line that says what to install. */
export async function ensureDebianPackages(wanted) {
  const missing = missingPackages(wanted.flatMap(need => needs[need]));
  if (missing.length === 0) return;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (!hasDebian()) throw new Error(`For ${wanted.join(' and ')} install what Debian calls: ${missing.join(' ')}`);
  const prefix = rootPrefix();
  if (!prefix) throw new Error(`For ${wanted.join(' and ')} run: sudo ${command}`);
  console.log(`set-up: installing Debian packages for ${wanted.join(' and ')}: ${missing.join(' ')}`);
  const [program, ...args] = [...prefix, process.execPath, fileURLToPath(import.meta.url), ...missing];
  await run(program, args, { quiet: true });
}

const hasDebian = () => existsSync('/usr/bin/dpkg-query') && existsSync('/usr/bin/apt-get');

function missingPackages(packages) {
  if (!hasDebian()) return packages;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg's own placeholders
  const query = spawnSync('dpkg-query', ['-W', '-f=${Package} ${db:Status-Status}\n', ...packages], {
    encoding: 'utf8',
  });
  const installed = new Set(query.stdout.split('\n').filter(line => line.endsWith(' installed')));
  return packages.filter(name => !installed.has(`${name} installed`));
}

function rootPrefix() {
  if (process.getuid() === 0) return [];
  return succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined;
}

const policy = '/usr/sbin/policy-rc.d';
const savedPolicy = `${policy}.before-coppice`;

/** Runs as root, in a process of its own. */
async function install(packages) {
  forbidDaemons();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
  process.once('exit', allowDaemons);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const patient = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  await run('apt-get', [...patient, 'update'], { env });
  await run('apt-get', [...patient, 'install', '--yes', '--no-install-recommends', ...packages], { env });
}

/** A package's daemon would be left running by a set-up that only wanted its files. */
function forbidDaemons() {
  if (existsSync(policy) && !existsSync(savedPolicy)) renameSync(policy, savedPolicy);
  writeFileSync(policy, '#!/bin/sh\nexit 101\n');
  chmodSync(policy, 0o755);
}

function allowDaemons() {
  if (existsSync(savedPolicy)) renameSync(savedPolicy, policy);
  else rmSync(policy, { force: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await reportingFailure(() => install(process.argv.slice(2)));
}

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** crun by itself, as quick as it gets: its own default spec, one fixed root, no overlay, no seccomp, no cgroups. */
export function crunCommand(folder: string, rootfs: string): readonly string[] {
  const bundle = makeBundle('crun', folder, rootfs);
  // Its 1.8 refuses the hybrid cgroup layout, so it gets an empty folder to look at.
  const script =
    'mount -t tmpfs none /sys/fs/cgroup && exec crun --cgroup-manager=disabled --root "$1" run -b "$2" "$3"';
  return ['unshare', '--mount', '--', 'sh', '-c', script, 'sh', `${bundle}/state`, bundle, 'bench-@@'];
}

/** The same of runc, which does not run without cgroups. */
export function runcCommand(folder: string, rootfs: string): readonly string[] {
  const bundle = makeBundle('runc', folder, rootfs);
  return ['runc', '--root', `${bundle}/state`, 'run', '-b', bundle, 'coppice-bench-@@'];
}

function makeBundle(program: string, folder: string, rootfs: string): string {
  const bundle = path.join(folder, `${program}-bundle`);
  const config = path.join(bundle, 'config.json');
  rmSync(bundle, { recursive: true, force: true });
  mkdirSync(bundle);
  execFileSync(program, ['spec'], { cwd: bundle });
  const spec = JSON.parse(readFileSync(config, 'utf8'));
  spec.process.args = ['/bin/true'];
  spec.process.terminal = false;
  spec.process.rlimits = [];
  spec.root = { path: rootfs, readonly: true };
  spec.mounts = spec.mounts.filter((mount: { destination: string }) => mount.destination !== '/sys/fs/cgroup');
  spec.linux.resources = {};
  spec.linux.namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map(type => ({ type }));
  writeFileSync(config, JSON.stringify(spec));
  return bundle;
}

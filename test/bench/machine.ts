import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  readonly tools: readonly string[];
  readonly load: { readonly before: string; readonly after: string };
  readonly at: string;
}

const programs = ['dockerd', 'podman', 'crun', 'runc', 'bwrap', 'rsync', 'git', 'ostree'];

export function machine(loadBefore: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    system: /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform,
    node: process.versions.node,
    tools: programs.flatMap(version),
    load: { before: loadBefore, after: load() },
    at: new Date().toISOString(),
  };
}

export const load = (): string =>
  loadavg()
    .map(value => value.toFixed(2))
    .join(' ');

function version(program: string): string[] {
  try {
    const text = execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [`${program} ${/\d+(\.\d+)+/.exec(text)?.[0] ?? text.split('\n')[0]}`];
  } catch {
    return []; // Not there: its lines say so.
  }
}

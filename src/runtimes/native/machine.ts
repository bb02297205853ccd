import { accessSync, constants, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import type { HostSettings } from './hostApi.ts';
import { isRealRoot } from './namespace.ts';

/** What this machine has for the native runtime, told by looking only. */
export interface Machine {
  readonly tools: Readonly<Record<Tool, boolean>>;
  /** This user has a range in both /etc/subuid and /etc/subgid. */
  readonly subordinateIds: boolean;
  readonly tunnel: boolean;
}

const tools = ['unshare', 'nsenter', 'mount', 'crun', 'runc', 'newuidmap', 'slirp4netns', 'script', 'mkfifo'] as const;
export type Tool = (typeof tools)[number];

export const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function lookAtMachine(): Machine {
  return {
    tools: Object.fromEntries(tools.map(tool => [tool, hasTool(tool)])) as Record<Tool, boolean>,
    subordinateIds: isRealRoot || (hasRange('/etc/subuid') && hasRange('/etc/subgid')),
    tunnel: isRealRoot || canOpen('/dev/net/tun'),
  };
}

/** The best this machine allows. */
export function hostSettings(machine: Machine, home: string): Omit<HostSettings, 'cgroups' | 'cgroupsReason'> {
  return {
    ids: machine.subordinateIds && (isRealRoot || machine.tools.newuidmap) ? 'range' : 'single',
    runtime: machine.tools.crun || !machine.tools.runc ? 'crun' : 'runc',
    nat: machine.tools.slirp4netns && machine.tunnel ? 'slirp4netns' : null,
    home,
  };
}

function hasTool(tool: string): boolean {
  const folders = `${searchPath}:${process.env.PATH ?? ''}`.split(':').filter(Boolean);
  return folders.some(folder => {
    try {
      accessSync(path.join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function hasRange(file: string): boolean {
  const { username, uid } = userInfo();
  return readText(file)
    .split('\n')
    .some(line => {
      const [name, , count] = line.split(':');
      return (name === username || name === String(uid)) && Number(count) > 0;
    });
}

function canOpen(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** '' where there is no such file: the question it answers then has no for an answer. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

import {
  accessSync,
  chownSync,
  constants,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import type { HostSettings } from './hostApi.ts';
import { readText } from './machine.ts';
import { firstId, isRealRoot } from './namespace.ts';

/** Cgroup folders of the machine that are handed to the namespace host, so that sandboxes have limits and accounts. */
export interface CgroupDelegation {
  readonly settings: HostSettings['cgroups'];
  /** Why there are none; '' when there are. */
  readonly reason: string;
  /** Controller (v2: `all`) → folder of this engine on the machine. */
  readonly folders: Readonly<Record<string, string>>;
  /** v2: the host must be in the delegated tree to move what it starts; it joins here. */
  readonly join: string | undefined;
}

const wanted = ['memory', 'cpu', 'cpuacct', 'pids', 'freezer'];
const prefix = 'coppice-';
const maxLooked = 2000;
/** USER_HZ, in which /proc tells times; the same on every machine. */
const ticksPerSecond = 100;
/** In seconds: a process may be that much younger than what it made, as clocks go. */
const clockSlack = 60;
/** In the store: the folders of the engine that was last here. */
const memory = 'cgroups.json';

interface Hierarchy {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  /** Where on the machine our own group is. */
  readonly folder: string;
  readonly mount: string;
}

export function delegateCgroups(home: string): CgroupDelegation {
  const delegation = findCgroups();
  writeFileSync(path.join(home, memory), JSON.stringify(Object.values(delegation.folders)));
  return delegation;
}

function findCgroups(): CgroupDelegation {
  try {
    const hierarchies = findHierarchies();
    const unified = hierarchies.find(hierarchy => hierarchy.version === 2 && hierarchy.controllers.includes('memory'));
    if (unified) return delegateUnified(unified);
    const old = hierarchies.filter(hierarchy => hierarchy.version === 1);
    if (old.length === 0) return none('this machine shows no cgroup controllers');
    if (!isRealRoot) return none('with cgroup version 1 only root may make groups; start the machine with version 2');
    return delegateOld(old);
  } catch (error) {
    return none(`no cgroups could be made: ${(error as Error).message}`);
  }
}

/** After the host is gone. */
export function removeCgroups(own: CgroupDelegation): void {
  for (const folder of Object.values(own.folders)) removeTree(folder);
}

/** What engines left that are gone: this store's that it remembers, and any other's that we come across. */
export async function removeDeadCgroups(remembered: readonly string[]): Promise<void> {
  for (const folder of remembered) removeTree(folder);
  for (const mount of new Set(findHierarchies().map(hierarchy => hierarchy.mount))) {
    for await (const folder of groupsOfEngines(mount)) if (isDead(folder)) removeTree(folder);
  }
}

/** Breadth first, and not for ever: a machine may have thousands of groups. */
async function* groupsOfEngines(mount: string): AsyncGenerator<string> {
  const pending = [mount];
  for (let looked = 0; looked < maxLooked && pending.length > 0; looked++) {
    const parent = pending.shift()!;
    // Each in a turn of its own: runs are being answered meanwhile.
    await immediate();
    for (const name of namesIn(parent)) {
      if (name.startsWith(prefix)) yield path.join(parent, name);
      else pending.push(path.join(parent, name));
    }
  }
}

/** Its engine is gone, also when another process has got that one's number since. */
function isDead(folder: string): boolean {
  const [pid = '', made = ''] = path.basename(folder).slice(prefix.length).split('-');
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === '') return true;
  const started = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]) / ticksPerSecond;
  const uptime = Number(readText('/proc/uptime').split(' ')[0]);
  const age = (Date.now() - Number.parseInt(made, 36)) / 1000;
  return uptime - started + clockSlack < age && !runsNode(pid);
}

/** Clocks get set: what might be an engine counts as one. */
function runsNode(pid: string): boolean {
  try {
    return path.basename(readlinkSync(`/proc/${pid}/exe`)) === path.basename(process.execPath);
  } catch {
    return true;
  }
}

export function rememberedCgroups(home: string): string[] {
  try {
    const folders = JSON.parse(readText(path.join(home, memory)) || '[]') as string[];
    return folders.filter(folder => path.basename(folder).startsWith(prefix));
  } catch {
    // Half written when the machine stopped: its cgroups stopped with it.
    return [];
  }
}

function delegateOld(hierarchies: readonly Hierarchy[]): CgroupDelegation {
  const folders: Record<string, string> = {};
  for (const { controllers, folder } of hierarchies) {
    const useful = controllers.filter(controller => wanted.includes(controller));
    if (useful.length === 0) continue;
    const own = makeOwn(folder);
    for (const file of ['cgroup.procs', 'tasks']) chownSync(path.join(own, file), firstId, firstId);
    for (const controller of useful) folders[controller] = own;
  }
  return { settings: { version: 1, controllers: Object.keys(folders) }, reason: '', folders, join: undefined };
}

function delegateUnified({ folder, mount, controllers }: Hierarchy): CgroupDelegation {
  const parent = isRealRoot ? mount : nearestWritable(folder, mount);
  if (!parent) return none('no cgroup is delegated to this user; start the editor from a systemd user session');
  const useful = controllers.filter(controller => wanted.includes(controller));
  const enable = useful.map(controller => `+${controller}`).join(' ');
  writeFileSync(path.join(parent, 'cgroup.subtree_control'), enable);
  const own = makeOwn(parent);
  writeFileSync(path.join(own, 'cgroup.subtree_control'), enable);
  const join = path.join(own, 'host');
  mkdirSync(join);
  for (const file of ['cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads', 'host', 'host/cgroup.procs']) {
    if (isRealRoot) chownSync(path.join(own, file), firstId, firstId);
  }
  return { settings: { version: 2, controllers: useful }, reason: '', folders: { all: own }, join };
}

/** A user may move processes only below a group it may write; the highest such one has the controllers. */
function nearestWritable(folder: string, mount: string): string | undefined {
  for (let at = folder; at.startsWith(mount) && at !== mount; at = path.dirname(at)) {
    if (mayWrite(at) && mayWrite(path.join(at, 'cgroup.procs')) && readText(path.join(at, 'cgroup.procs')) === '')
      return at;
  }
  return undefined;
}

function makeOwn(parent: string): string {
  const own = path.join(parent, `${prefix}${process.pid}-${Date.now().toString(36)}`);
  mkdirSync(own, { mode: 0o755 });
  if (isRealRoot) chownSync(own, firstId, firstId);
  return own;
}

/** From mountinfo (where hierarchies are mounted, and which part of each) and our own groups. */
function findHierarchies(): Hierarchy[] {
  const groups = readText('/proc/self/cgroup').trim().split('\n');
  return readText('/proc/self/mountinfo')
    .split('\n')
    .flatMap((line): Hierarchy[] => {
      const [before = '', after = ''] = line.split(' - ');
      const [, , , root = '/', mount = ''] = before.split(' ');
      const [type, , options = ''] = after.split(' ');
      if (type !== 'cgroup' && type !== 'cgroup2') return [];
      const controllers = type === 'cgroup' ? options.split(',') : [];
      const group = groups.find(entry => groupOf(entry, controllers));
      if (!group) return [];
      const below = path.relative(root, group.split(':').slice(2).join(':'));
      if (below.startsWith('..')) return [];
      const folder = path.join(mount, below);
      if (type === 'cgroup') return [{ version: 1, controllers, folder, mount }];
      const unified = readText(path.join(mount, 'cgroup.controllers')).trim().split(' ').filter(Boolean);
      return [{ version: 2, controllers: unified, folder, mount }];
    });
}

/** `8:pids:/a`; the unified hierarchy is `0::/a`. */
function groupOf(entry: string, controllers: readonly string[]): boolean {
  const [, names = ''] = entry.split(':');
  return controllers.length === 0
    ? names === ''
    : names.split(',').some(name => name !== '' && controllers.includes(name));
}

function removeTree(folder: string): void {
  for (const name of namesIn(folder)) removeTree(path.join(folder, name));
  try {
    rmdirSync(folder);
  } catch {
    // Something still ends in it, or it is gone: the next engine's start sees to the rest.
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(entry => entry.name);
  } catch {
    return [];
  }
}

function mayWrite(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function none(reason: string): CgroupDelegation {
  return { settings: null, reason, folders: {}, join: undefined };
}

import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { MachineFolders } from '../../hostFingerprint.ts';

/**
 * The lowest layer of every image: mount points, so that the container runtime makes none in what a run writes, and for
 * `host:` the skeleton of a root.
 */
interface Stub {
  readonly path: string;
  readonly mode?: number;
  readonly link?: string;
  readonly file?: true;
}

const mountPoints: readonly Stub[] = [
  { path: 'proc', mode: 0o555 },
  { path: 'sys', mode: 0o555 },
  { path: 'dev' },
  { path: 'tmp', mode: 0o1777 },
  { path: 'etc' },
  { path: 'etc/hosts', file: true },
  { path: 'etc/hostname', file: true },
  { path: 'etc/resolv.conf', file: true },
];

const skeleton: readonly Stub[] = [
  { path: 'boot' },
  { path: 'home' },
  { path: 'media' },
  { path: 'mnt' },
  { path: 'opt' },
  { path: 'root', mode: 0o700 },
  { path: 'run' },
  { path: 'run/lock', mode: 0o1777 },
  { path: 'srv' },
  { path: 'usr' },
  { path: 'var' },
  { path: 'var/cache' },
  { path: 'var/lib' },
  { path: 'var/lock', link: '/run/lock' },
  { path: 'var/log' },
  { path: 'var/run', link: '/run' },
  { path: 'var/spool' },
  { path: 'var/tmp', mode: 0o1777 },
];

/** How deep and how many of /usr/local's folders are made anew, owned by the sandbox's root. */
const localDepth = 5;
const localLimit = 200;

export function rootfsStubs(): readonly Stub[] {
  return mountPoints;
}

/**
 * The machine's folders belong to a user who does not exist in the sandbox, so nobody could make a file in them. /etc,
 * /opt and /usr/local are made anew here and merged with the machine's: there the sandbox's root may install things.
 */
export function hostStubs(machine: MachineFolders): readonly Stub[] {
  const named = new Set([...skeleton, ...mountPoints].map(stub => stub.path));
  return [
    ...skeleton,
    ...mountPoints,
    ...machine.folders.filter(name => !named.has(name)).map(name => ({ path: name })),
    ...machine.links.map(link => ({ path: link.name, link: link.target })),
    ...localFolders(machine),
  ];
}

/** Its name says what is in it: another machine, another plan, another layer. */
export function stubsId(stubs: readonly Stub[]): string {
  const digest = crypto.createHash('sha256').update(JSON.stringify(stubs)).digest();
  return `s${digest.readBigUInt64BE().toString(36).padStart(13, '0').slice(-7)}`;
}

export function makeStubs(folder: string, stubs: readonly Stub[]): void {
  for (const stub of stubs) {
    const place = path.join(folder, stub.path);
    if (stub.link !== undefined) fs.symlinkSync(stub.link, place);
    else if (stub.file) fs.writeFileSync(place, '', { mode: 0o644 });
    else fs.mkdirSync(place);
    if (stub.link === undefined && !stub.file) fs.chmodSync(place, stub.mode ?? 0o755);
  }
}

function localFolders(machine: MachineFolders): Stub[] {
  if (!machine.folders.includes('usr')) return [];
  const stubs: Stub[] = [];
  const pending = [{ path: 'usr/local', depth: 0 }];
  for (let next = pending.shift(); next !== undefined && stubs.length < localLimit; next = pending.shift()) {
    const stats = fs.lstatSync(`/${next.path}`, { throwIfNoEntry: false });
    // Only what every user of the machine may look into: a private folder must not open up by being merged.
    if (!stats?.isDirectory() || (stats.mode & 0o005) !== 0o005) continue;
    stubs.push({ path: next.path });
    if (next.depth === localDepth) continue;
    for (const name of fs.readdirSync(`/${next.path}`).sort())
      pending.push({ path: `${next.path}/${name}`, depth: next.depth + 1 });
  }
  return stubs;
}

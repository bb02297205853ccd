import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

/** The top of this machine as a `host:` image shows it. */
export interface MachineFolders {
  /** Real folders, each shown by an overlay of its own over the machine's. */
  readonly folders: readonly string[];
  /** Links as on the machine, `bin -> usr/bin`. */
  readonly links: readonly { readonly name: string; readonly target: string }[];
  /** What cannot be shown because our own store lies in it: an overlay may not lie under itself. */
  readonly hidden: readonly string[];
}

const shown = ['usr', 'etc', 'opt', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32', 'nix', 'gnu'];
/** Every sandbox has its own; that they change is no drift. */
const ownOfSandbox = new Set(['hosts', 'hostname', 'resolv.conf', 'mtab']);
/** A package database that is small enough to be read for the fingerprint. */
const maxRead = 16 * 1024 * 1024;
const packageDatabases = [
  '/var/lib/dpkg/status',
  '/var/lib/rpm/rpmdb.sqlite',
  '/usr/lib/sysimage/rpm/rpmdb.sqlite',
  '/lib/apk/db/installed',
  '/var/lib/pacman/local',
  '/nix/var/nix/profiles/system',
];

/** `store`: real path of our own folder on the machine. */
export function machineFolders(store: string): MachineFolders {
  const folders: string[] = [];
  const links: { name: string; target: string }[] = [];
  const hidden: string[] = [];
  for (const name of shown) {
    const stats = fs.lstatSync(`/${name}`, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink()) links.push({ name, target: fs.readlinkSync(`/${name}`) });
    else if (stats?.isDirectory()) (isBelow(store, `/${name}`) ? hidden : folders).push(name);
  }
  return { folders, links, hidden };
}

/**
 * Identity of the machine as a `host:` base (decision 14): release, packages, and the entries right below each shown
 * folder. The same inside and outside the namespace, cheap enough to ask before every import.
 */
export function hostFingerprint(machine: MachineFolders): string {
  const hash = crypto.createHash('sha256');
  hash.update(JSON.stringify(machine));
  hash.update(contentOf('/etc/os-release'));
  for (const database of packageDatabases) hash.update(`${database}\0${contentOf(database)}\0`);
  for (const folder of machine.folders) {
    for (const name of entriesOf(`/${folder}`)) {
      if (folder === 'etc' && ownOfSandbox.has(name)) continue;
      hash.update(`${folder}/${name}\0${identityOf(path.join('/', folder, name))}\0`);
    }
  }
  return `host:${hash.digest('hex')}`;
}

function isBelow(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}

function contentOf(file: string): string {
  try {
    const stats = fs.statSync(file);
    if (!stats.isFile() || stats.size > maxRead) return identityOf(file);
    return crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  } catch {
    // Absent, or not for us to read: then it tells nothing.
    return '';
  }
}

function entriesOf(folder: string): string[] {
  try {
    return fs.readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function identityOf(file: string): string {
  const stats = fs.lstatSync(file, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : `${stats.size} ${stats.mtimeNs} ${stats.ino} ${stats.ctimeNs}`;
}

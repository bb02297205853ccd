import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';

/**
 * Mounts within the machine's folders, by folder. What was mounted there before an ordinary user's namespace began is
 * locked in it (as a container's /etc/hosts is), and the kernel refuses an overlay over a folder with locked mounts.
 */
export function mountsWithin(folders: readonly string[], mountinfo: string): ReadonlyMap<string, readonly string[]> {
  const points = mountinfo
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
    .map(point => point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))));
  const within = folders.map(name => [name, points.filter(point => point.startsWith(`/${name}/`))] as const);
  return new Map(within.filter(([, found]) => found.length > 0));
}

/** What of a folder may be read, as it looks now, belonging to root. What may not be read stays away. */
export function copyReadable(folder: string, into: string): void {
  const target = path.join(into, folder);
  try {
    const options = ['-R', '--preserve=mode,timestamps', '--no-target-directory'];
    execFileSync('cp', [...options, '--', `/${folder}`, target], { stdio: 'ignore' });
  } catch (error) {
    // 1: some files could not be read, and that is as it should be.
    if ((error as { status?: number | null }).status !== 1 || !fs.existsSync(target)) throw error;
  }
}

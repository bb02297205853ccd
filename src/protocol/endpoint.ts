import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import path from 'node:path';
import { CoppiceError } from './errors.ts';

/** Where an engine lives: pure functions of the environment, so that client and engine agree without talking. */

export function defaultHome(env: NodeJS.ProcessEnv = process.env): string {
  if (env.COPPICE_HOME) return path.resolve(env.COPPICE_HOME);
  if (process.platform === 'win32')
    return path.join(env.LOCALAPPDATA ?? path.join(homedir(), 'AppData', 'Local'), 'coppice');
  if (process.platform === 'darwin') return path.join(homedir(), 'Library', 'Application Support', 'coppice');
  return path.join(env.XDG_DATA_HOME || path.join(homedir(), '.local', 'share'), 'coppice');
}

/** A socket's path is limited to about 104 bytes, so a deep home puts it into a short private folder instead. */
export function socketPath(home: string): string {
  const name = createHash('sha256').update(home).digest('hex').slice(0, 16);
  if (process.platform === 'win32') return `\\\\.\\pipe\\coppice-${name}`;
  const inside = path.join(home, 'engine', 'engine.sock');
  if (Buffer.byteLength(inside) < 100) return inside;
  return path.join(sharedPlace(), `${name}.sock`);
}

/** Not where TMPDIR says: that differs between an editor and a terminal, and both must find the same engine. */
const sharedPlace = (): string => path.join('/tmp', `coppice-${userInfo().uid}`);

/** Everybody may write to /tmp: a folder of that name that is not ours alone may be a trap for our secrets. */
export function refuseForeignFolder(address: string, shared = sharedPlace()): void {
  const folder = path.dirname(address);
  if (process.platform === 'win32' || folder !== shared) return;
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (!stats || (stats.isDirectory() && stats.uid === userInfo().uid && (stats.mode & 0o022) === 0)) return;
  throw new CoppiceError('engine_unreachable', `${folder} is not a private folder of yours`, {
    fix: `Remove it, or set COPPICE_HOME to a folder with a shorter path.`,
    data: { folder },
  });
}

export const logPath = (home: string): string => path.join(home, 'engine', 'engine.log');

import { createHash } from 'node:crypto';
import { homedir, tmpdir, userInfo } from 'node:os';
import path from 'node:path';

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
  return path.join(tmpdir(), `coppice-${userInfo().uid}`, `${name}.sock`);
}

export const logPath = (home: string): string => path.join(home, 'engine', 'engine.log');

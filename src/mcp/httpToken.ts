import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export const tokenPath = (home: string): string => path.join(home, 'mcp', 'token');

/** The token of this home's HTTP servers: made once, kept in a file that only its owner reads, so that configurations stay true. */
export function httpToken(home: string, renew: boolean): { readonly token: string; readonly isNew: boolean } {
  const kept = renew ? undefined : keptToken(home);
  if (kept !== undefined) return { token: kept, isNew: false };
  const token = randomBytes(32).toString('base64url');
  const file = tokenPath(home);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, `${token}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, file);
  return { token, isNew: true };
}

function keptToken(home: string): string | undefined {
  try {
    const text = readFileSync(tokenPath(home), 'utf8').trim();
    return text.length >= 32 ? text : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

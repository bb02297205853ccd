import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';

/** A fresh folder that says by its name whose it is, so that later processes know when nobody needs it any more. */
export function makePidFolder(parent, purpose) {
  const folder = path.join(parent, `${purpose}-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The folders of processes that were killed before they could remove them. */
export function abandonedFolders(parent, purpose) {
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter(name => name.startsWith(`${purpose}-`) && !existsSync(`/proc/${name.slice(purpose.length + 1)}`))
    .map(name => path.join(parent, name));
}

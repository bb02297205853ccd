import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

/** Removes a folder in which sandboxes may have written. */
export function removeTree(folder) {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
    // Layers belong to an ordinary user's subordinate ids, which only a user namespace may touch.
    spawnSync('unshare', ['--map-root-user', '--map-auto', 'rm', '-rf', folder], { stdio: 'inherit' });
  }
}

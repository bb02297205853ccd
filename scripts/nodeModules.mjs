import { existsSync, readFileSync } from 'node:fs';
import { run } from './command.mjs';
import { inRoot, projectNode } from './paths.mjs';

/** node_modules as the lock file says, with the project's Node 24 in it. */
export async function ensureNodeModules() {
  if (matchesLockFile() && existsSync(projectNode)) return;
  console.log('set-up: npm ci');
  await run('npm', ['ci', '--no-progress'], { quiet: true });
  if (!existsSync(projectNode))
    throw new Error('npm ci left no Node 24: the install script of the package "node" did not run.');
}

function matchesLockFile() {
  const installed = packagesOf(inRoot('node_modules', '.package-lock.json'));
  const locked = packagesOf(inRoot('package-lock.json'));
  return Object.entries(locked).every(([where, { version, optional }]) => {
    if (where === '' || (optional && !installed[where])) return true;
    return installed[where]?.version === version;
  });
}

function packagesOf(lockFile) {
  return existsSync(lockFile) ? JSON.parse(readFileSync(lockFile, 'utf8')).packages : {};
}

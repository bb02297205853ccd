import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { npmCli, runProjectNode } from './command.mjs';
import { inCache, inRoot } from './paths.mjs';
import { abandonedFolders, makePidFolder } from './pidFolder.mjs';
import { removeTree } from './removeTree.mjs';

/** Packages of npm that few need, apart from node_modules: what `scripts/NAME/package-lock.json` says, in `.cache/NAME`. */
export function programsApart(name, announcement) {
  const wanted = inRoot('scripts', name);
  const installations = inCache(name);
  const lock = readFileSync(path.join(wanted, 'package-lock.json'));
  const installation = path.join(installations, createHash('sha256').update(lock).digest('hex').slice(0, 16));

  async function ensure() {
    if (existsSync(installation)) return;
    console.log(`set-up: ${announcement}`);
    for (const folder of abandonedFolders(installations, 'unfinished')) removeTree(folder);
    const unfinished = makePidFolder(installations, 'unfinished');
    for (const file of ['package.json', 'package-lock.json'])
      copyFileSync(path.join(wanted, file), path.join(unfinished, file));
    await runProjectNode([npmCli(), 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'], {
      cwd: unfinished,
      quiet: true,
    });
    renameSync(unfinished, installation);
  }
  return { nodeModules: path.join(installation, 'node_modules'), ensure };
}

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { npmCli, runProjectNode } from './command.mjs';
import { inCache, inRoot } from './paths.mjs';
import { abandonedFolders, makePidFolder } from './pidFolder.mjs';
import { removeTree } from './removeTree.mjs';

/** MCP's own inspector and conformance suite: 150 MB that only the tests of the agents' server want, so apart from node_modules. */
const wanted = inRoot('scripts', 'agent-programs');
const installations = inCache('agent-programs');

/** Where they are, once they are there. */
export const agentPrograms = path.join(installations, key(), 'node_modules', '@modelcontextprotocol');

function key() {
  const lock = readFileSync(path.join(wanted, 'package-lock.json'));
  return createHash('sha256').update(lock).digest('hex').slice(0, 16);
}

export async function ensureAgentPrograms() {
  if (existsSync(agentPrograms)) return;
  console.log('set-up: installing the MCP inspector and conformance suite, about half a minute, once');
  for (const folder of abandonedFolders(installations, 'unfinished')) removeTree(folder);
  const unfinished = makePidFolder(installations, 'unfinished');
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(path.join(wanted, file), path.join(unfinished, file));
  await runProjectNode([npmCli(), 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'], {
    cwd: unfinished,
    quiet: true,
  });
  renameSync(unfinished, path.join(installations, key()));
}

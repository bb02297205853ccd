import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readlinkSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { npmCli, runProjectNode } from './command.mjs';
import { ensureDebianPackages } from './debian.mjs';
import { inCache, inRoot, projectNode } from './paths.mjs';
import { abandonedFolders, makePidFolder } from './pidFolder.mjs';
import { removeTree } from './removeTree.mjs';

/** The npm package that carries VS Code 1.139. Its install scripts insist on Node 24, so it lives apart from node_modules. */
const codeServer = 'code-server@4.139.1';

const installations = inCache('vscode');

/** The folder of VS Code's own server; test/harness/vscode.ts knows it too. */
export const vscodeServer = path.join(installations, 'current', 'node_modules', 'code-server', 'lib', 'vscode');

export async function ensureVscode() {
  await ensureDebianPackages(editorNeeds());
  const { key, nodeVersion } = identity();
  if (!existsSync(path.join(installations, key))) await install(key, nodeVersion);
  pointCurrentAt(key);
}

/** Its native modules are compiled here, so it takes a compiler until it is installed. */
export function editorNeeds() {
  return existsSync(path.join(installations, identity().key)) ? [] : ['building the editor'];
}

function identity() {
  const nodeVersion = spawnSync(projectNode, ['--version'], { encoding: 'utf8' }).stdout.trim();
  return { key: `${codeServer}-node-${nodeVersion}`, nodeVersion };
}

async function install(key, nodeVersion) {
  console.log(`set-up: installing VS Code (${codeServer}), about two minutes, once`);
  for (const folder of abandonedFolders(installations, 'unfinished')) removeTree(folder);
  const unfinished = makePidFolder(installations, 'unfinished');
  await npmInstall(unfinished, codeServer, { npm_config_nodedir: await nodeHeaders(nodeVersion) });
  renameSync(unfinished, path.join(installations, key));
}

/** Native modules are compiled against headers, which come with Node's npm package and not from a download site. */
async function nodeHeaders(nodeVersion) {
  const platformPackage = `node-${process.platform}-${process.arch}`;
  const besideNode = inRoot('node_modules', 'node', 'node_modules', platformPackage);
  if (hasHeaders(besideNode)) return besideNode;
  const apart = inCache('node-headers', nodeVersion);
  const installed = path.join(apart, 'node_modules', platformPackage);
  if (!hasHeaders(installed)) await npmInstall(apart, `${platformPackage}@${nodeVersion.slice(1)}`);
  return installed;
}

const hasHeaders = folder => existsSync(path.join(folder, 'include', 'node', 'node.h'));

async function npmInstall(folder, spec, env = {}) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  const allowScripts = { npm_config_dangerously_allow_all_scripts: 'true' };
  const quietly = ['--no-audit', '--no-fund', '--no-progress', '--no-package-lock'];
  await runProjectNode([npmCli(), 'install', ...quietly, spec], {
    cwd: folder,
    env: { ...allowScripts, ...env },
    quiet: true,
  });
}

/** One name for the installed version, moved in one step, so that the harness need not know versions. */
function pointCurrentAt(key) {
  const current = path.join(installations, 'current');
  if (existsSync(current) && readlinkSync(current) === key) return;
  const next = `${current}-${process.pid}`;
  symlinkSync(key, next);
  renameSync(next, current);
}

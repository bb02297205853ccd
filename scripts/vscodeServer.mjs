import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProjectNode } from './command.mjs';
import { projectNode } from './paths.mjs';
import { removeTree } from './removeTree.mjs';
import { vscodeServer } from './vscode.mjs';

// The real VS Code server on a free loopback port. Types: vscodeServer.d.mts.

/** Nothing on the first page that nobody asked for. */
export const calmSettings = {
  'workbench.startupEditor': 'none',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.tips.enabled': false,
  'extensions.ignoreRecommendations': true,
  'git.openRepositoryInParentFolders': 'never',
};

/** Puts a packaged extension where a server of the same data folder finds it. */
export async function installVsix(dataFolder, vsix) {
  await runProjectNode(['out/server-main.js', '--install-extension', vsix, ...folders(dataFolder)], {
    cwd: vscodeServer,
    quiet: true,
  });
}

/** Settings as the user would have written them. */
export function writeUserSettings(dataFolder, settings) {
  const folder = path.join(dataFolder, 'data', 'User');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'settings.json'), JSON.stringify(settings, null, 2));
}

const loopback = ['--host', '127.0.0.1', '--port', '0'];

/** `under` is what starts it, as `unshare --mount`. */
export async function startVscodeServer({ dataFolder, open = false, flags = [], env = {}, under = [] }) {
  const token = open ? undefined : randomBytes(16).toString('hex');
  // VS Code leaves its sockets behind when it is killed, by default in the machine's temporary folder.
  const runtimeFolder = mkdtempSync(path.join(tmpdir(), 'coppice-'));
  const options = [...loopback, ...access(dataFolder, token), ...folders(dataFolder), ...flags];
  const [program, ...args] = [...under, projectNode, 'out/server-main.js', ...options];
  const server = spawn(program, args, {
    cwd: vscodeServer,
    env: { ...process.env, XDG_RUNTIME_DIR: runtimeFolder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own: the server's file watcher and terminals outlive a plain kill.
    detached: true,
  });
  const kill = () => {
    signalGroup(server);
    removeTree(runtimeFolder);
  };
  process.once('exit', kill);
  const dispose = async () => {
    process.off('exit', kill);
    await untilGroupIsGone(server);
    removeTree(runtimeFolder);
  };
  try {
    const port = await boundPort(server);
    const authority = `127.0.0.1:${port}`;
    return { authority, token, address: place => address(authority, token, place), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

function folders(dataFolder) {
  const extensions = path.join(dataFolder, 'extensions');
  return [
    '--accept-server-license-terms',
    '--telemetry-level',
    'off',
    '--server-data-dir',
    dataFolder,
    '--extensions-dir',
    extensions,
  ];
}

/** In a file of its own: every user of the machine can read a command line. */
function access(dataFolder, token) {
  if (!token) return ['--without-connection-token'];
  mkdirSync(dataFolder, { recursive: true });
  const file = path.join(dataFolder, 'connection-token');
  writeFileSync(file, token, { mode: 0o600 });
  return ['--connection-token-file', file];
}

function boundPort(server) {
  return new Promise((resolve, reject) => {
    let output = '';
    const listen = chunk => {
      output += chunk;
      const [, port] = /Extension host agent listening on (\d+)/.exec(output) ?? [];
      if (port) resolve(Number(port));
    };
    server.stdout.on('data', listen);
    server.stderr.on('data', listen);
    server.once('error', reject);
    server.once('exit', code => reject(new Error(`VS Code's server ended with ${code}\n${output}`)));
  });
}

/** `place`: a folder, or a workspace file that names several. */
function address(authority, token, place) {
  const what = place.endsWith('.code-workspace') ? 'workspace' : 'folder';
  const query = new URLSearchParams({ ...(token && { tkn: token }), [what]: place });
  return `http://${authority}/?${query}`;
}

/** Also what the server started and has not waited for: without them nothing writes to the data folder any more. */
async function untilGroupIsGone(server) {
  for (const deadline = Date.now() + 5_000; signalGroup(server) && Date.now() < deadline; ) await sleep(20);
}

/** False when nobody is left in the server's process group. */
function signalGroup(server) {
  try {
    return server.pid !== undefined && process.kill(-server.pid, 'SIGKILL');
  } catch (error) {
    if (error.code === 'ESRCH') return false;
    throw error;
  }
}

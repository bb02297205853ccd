#!/usr/bin/env node
// The `coppice` command's first step. It runs on any Node a machine may have, so it uses nothing new.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import * as path from 'node:path';

const NEEDED: readonly [number, number] = [22, 22];
const self = realpathSync(process.argv[1]!);

if (isNewEnough(process.versions.node)) {
  // Named by a variable, so that it stays a file of its own when this one is bundled.
  const program = './cli.js';
  void import(program);
} else {
  const node = bundledNode(path.dirname(self));
  if (node === undefined || process.env.COPPICE_RELAUNCHED === '1') {
    process.stderr.write(
      `coppice: Node ${process.versions.node} is too old. Install Node ${NEEDED.join('.')} or newer (npm install node@24 beside coppice is enough).\n`,
    );
    process.exit(125);
  }
  runWith(node);
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}

/** The npm package `node` holds a whole Node; look for it beside this package and in the folders above. */
function bundledNode(start: string): string | undefined {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  for (let folder = start; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, 'node_modules', 'node', 'bin', name);
    if (existsSync(candidate)) return candidate;
    if (path.dirname(folder) === folder) return undefined;
  }
}

function runWith(node: string): void {
  const child = spawn(node, [self, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, COPPICE_RELAUNCHED: '1' },
  });
  const pass = (signal: NodeJS.Signals) => {
    // A terminal sends Ctrl-C to both of us: passing it on would make two of it.
    if (!(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => pass(signal));
  child.on('error', error => {
    process.stderr.write(`coppice: ${node} could not be started: ${error.message}\n`);
    process.exit(125);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code === null ? 125 : code);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

import { spawn, spawnSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { projectNode, root } from './paths.mjs';

/** Runs a command to its end. `quiet` keeps its output back and shows it only when the command fails. */
export function run(command, args, { cwd = root, env = {}, quiet = false } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    });
    const output = [];
    child.stdout?.on('data', chunk => output.push(chunk));
    child.stderr?.on('data', chunk => output.push(chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const text = Buffer.concat(output).toString();
      if (code === 0) return resolve(text);
      const name = [command, ...args].join(' ');
      reject(new Error(`${name}: ended with ${signal ?? `exit code ${code}`}\n${text}`.trimEnd()));
    });
  });
}

/** True when a command can be started and exits with 0; its output goes nowhere. */
export function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** npm as a script for a Node of our choice: `npm` itself would start on the machine's Node. */
export function npmCli() {
  const found = spawnSync('npm', ['root', '--global'], { encoding: 'utf8', cwd: '/' }).stdout?.trim();
  if (!found) throw new Error('npm is not on PATH. Install Node.js with npm and start again.');
  return realpathSync(path.join(found, 'npm', 'bin', 'npm-cli.js'));
}

/** The environment in which `node`, also for child scripts, is the project's Node 24. */
function projectNodeEnvironment() {
  return {
    PATH: `${path.dirname(projectNode)}${path.delimiter}${process.env.PATH}`,
    // Under `npm test` these speak of the Node that npm itself runs on.
    NODE: undefined,
    npm_config_user_agent: undefined,
    npm_execpath: undefined,
    npm_node_execpath: undefined,
  };
}

export function runProjectNode(args, options) {
  return run(projectNode, args, { ...options, env: { ...projectNodeEnvironment(), ...options?.env } });
}

/** For what is awaited later: until then its failure must not end the process. */
export function inBackground(promise) {
  promise.catch(() => {});
  return promise;
}

/** A script's main: a failure is one message and exit code 1, not a stack trace of ours. */
export async function reportingFailure(main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

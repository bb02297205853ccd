import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inRoot, projectNode, root } from '../paths.mjs';
import { startDaemon } from './daemon.mjs';
import { clearLeaks } from './leaks.mjs';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const INTERRUPTED = 130;

/** Runs the test files of one folder once, in a temporary folder of their own, and counts what they leave there as failures. */
export async function runPass(group, pass, grep) {
  const name = path.basename(pass.folder);
  const label = pass.as ? `${group} as ${pass.as}` : pass.runtime ? `${name} on ${pass.runtime}` : group;
  const files = testFiles(pass).filter(file => !grep || readFileSync(inRoot(file), 'utf8').includes(grep));
  // The others would set everything up for no test, and some never end then.
  if (files.length === 0 && grep) return [];
  if (files.length === 0) return [{ name: `${label}: there is no test in ${pass.folder}`, state: 'failed' }];
  console.log(`\n${label}: ${files.length} files`);
  const started = performance.now();
  const place = makePlace();
  const problem = await withDaemon(pass, place, env => runFiles(files, pass, place, grep, env));
  const results = readResults(place);
  const failed = results.some(result => result.state === 'failed');
  if (problem && !failed) results.push({ name: problem, state: 'failed' });
  if (results.length === 0 && !grep) results.push({ name: 'no test ran', state: 'failed' });
  for (const leak of await clearLeaks(place.folder, place.temporary)) {
    results.push({ name: `left behind: ${leak}`, state: 'failed' });
  }
  // Not before everything is cleared away.
  if (process.exitCode === INTERRUPTED) process.exit();
  console.log(`${label}: ${results.length} tests in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return results.map(result => ({ ...result, name: `${label}: ${result.name}` }));
}

/** `only` names one file of the folder, `except` some that are left out. */
function testFiles({ folder, only = '.test.ts', except }) {
  if (!existsSync(inRoot(folder))) return [];
  return readdirSync(inRoot(folder), { recursive: true })
    .filter(name => name.endsWith(only))
    .map(name => path.join(folder, name))
    .filter(file => !except?.test(file))
    .sort();
}

/** `temporary` is the tests' TMPDIR; whatever names `folder` was started by them. */
function makePlace() {
  const folder = mkdtempSync(path.join(tmpdir(), 'coppice-'));
  chmodSync(folder, 0o755);
  const temporary = path.join(folder, 'tmp');
  const output = path.join(folder, 'out');
  mkdirSync(temporary);
  mkdirSync(output);
  chmodSync(output, 0o777);
  return { folder, temporary, results: path.join(output, 'results.json') };
}

/** A daemon that does not start fails the pass as a test would. */
async function withDaemon(pass, place, work) {
  if (!pass.runtime) return work({});
  let daemon;
  try {
    daemon = await startDaemon(pass.runtime, place.temporary);
    return await work(daemon.env);
  } catch (error) {
    return error.message;
  } finally {
    await daemon?.stop();
  }
}

/** Resolves with what went wrong beside failing tests. */
function runFiles(files, pass, place, grep, env) {
  const [program, ...args] = commandLine(files, pass, place, grep);
  const child = spawn(program, args, {
    cwd: root,
    env: { ...environment(pass, place), ...env },
    stdio: 'inherit',
    detached: true,
  });
  const end = signal => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, signal);
  };
  const interrupt = () => {
    end('SIGTERM');
    setTimeout(end, 5_000, 'SIGKILL').unref();
    process.exitCode = INTERRUPTED;
  };
  for (const signal of signals) process.once(signal, interrupt);
  return new Promise((resolve, reject) => {
    // A little after the tests' own limit, which says which of them it was.
    const timer = setTimeout(end, pass.minutes * 60_000 + 15_000, 'SIGKILL');
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      for (const name of signals) process.off(name, interrupt);
      resolve(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}

function commandLine(files, pass, place, grep) {
  const node = path.relative(root, projectNode);
  const grepArguments = grep ? ['--grep', grep] : [];
  if (pass.inExtensionHost) return [node, 'test/harness/runHostTests.ts', ...grepArguments, ...files];
  const limits = ['--concurrency', String(pass.concurrency ?? 1), '--minutes', String(pass.minutes)];
  const tests = [node, 'scripts/testing/runNodeTests.mjs', ...limits, ...grepArguments, ...files];
  if (pass.as !== 'user' || process.getuid() !== 0) return tests;
  return ['unshare', '--mount', process.execPath, 'scripts/testing/asOrdinaryUser.mjs', place.folder, ...tests];
}

function environment(pass, place) {
  const { XDG_RUNTIME_DIR: _, ...env } = process.env;
  return {
    ...env,
    TMPDIR: place.temporary,
    // npm and compilers would keep theirs in the temporary folder.
    NODE_DISABLE_COMPILE_CACHE: '1',
    // A test that forgets to make a home of its own shows up as a leak and not in the developer's.
    COPPICE_HOME: path.join(place.temporary, 'nobodys-home'),
    COPPICE_TEST_RESULTS: place.results,
    ...(pass.as && { COPPICE_TEST_AS: pass.as }),
  };
}

function readResults({ results }) {
  return existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : [];
}

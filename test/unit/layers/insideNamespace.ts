import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** The store works as root of its own user and mount namespace; tests of it run themselves again in one. */
export const inside = process.env.COPPICE_TEST_INSIDE;

const unshared = ['-m', '-C', '-p', '-i', '--fork', '--mount-proc', '--kill-child=KILL'];

/** The options of a mount must fit in one page, and a temporary folder may lie deep: inside it has a short name. */
const short = '/mnt';
const underShortName = `mount -n --bind -- "$COPPICE_TEST_FOLDER" ${short} && exec "$@"`;

/** Runs a script in a new namespace with an empty folder that is writable there; answers its exit code. */
export async function runInside(script: string, ...args: string[]): Promise<number> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'coppice-layers-'));
  const env = { ...process.env, COPPICE_TEST_INSIDE: short, COPPICE_TEST_FOLDER: folder };
  // What the test runner tells its children would make the inner one report to it.
  delete (env as NodeJS.ProcessEnv).NODE_TEST_CONTEXT;
  const command = ['/bin/sh', '-c', underShortName, 'sh', process.execPath, script, ...args];
  try {
    return process.getuid!() === 0
      ? await asRoot(folder, command, env)
      : await run('unshare', ['-U', '--map-root-user', '--map-auto', ...unshared, '--', ...command], env);
  } finally {
    // Owned by subordinate ids: an ordinary user can only delete it from inside.
    if (process.getuid!() === 0) fs.rmSync(folder, { recursive: true, force: true });
    else await run('unshare', ['-U', '--map-root-user', '--map-auto', '--', 'rm', '-rf', '--', folder], env);
  }
}

/** Real root has no subordinate ids: it writes the maps of a waiting namespace itself. */
async function asRoot(folder: string, command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const holder = spawn('unshare', ['-U', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] });
  try {
    const own = fs.readlinkSync('/proc/self/ns/user');
    while (fs.readlinkSync(`/proc/${holder.pid}/ns/user`) === own) await setTimeout(1);
    for (const map of ['uid_map', 'gid_map']) fs.writeFileSync(`/proc/${holder.pid}/${map}`, '0 1000000 65536');
    fs.chownSync(folder, 1_000_000, 1_000_000);
    const enter = [`--user=/proc/${holder.pid}/ns/user`, '-S', '0', '-G', '0', '--', 'unshare', ...unshared, '--'];
    return await run('nsenter', [...enter, ...command], env);
  } finally {
    holder.kill('SIGKILL');
  }
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', code => resolve(code ?? 1));
  });
}

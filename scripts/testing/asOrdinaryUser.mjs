import { spawnSync } from 'node:child_process';
import { appendFileSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { root } from '../paths.mjs';

// Runs a command as an ordinary user who exists only while it runs. Root starts this inside a mount namespace of its own,
// where everything below is mounted, so the machine never sees a change and nothing is left to clean:
//   unshare --mount node asOrdinaryUser.mjs <folder> command args…

const user = { name: 'coppice-test', id: 54_321, firstSubordinate: 1_700_000_000, subordinates: 65_536 };
const [folder, ...command] = process.argv.slice(2);

giveIdentity();
giveTunnels();
const repository = showRepository();
const home = ownFolder('home');
const program = ['setpriv', '--reuid', user.id, '--regid', user.id, '--clear-groups', ...command].map(String);
const { status } = spawnSync(program[0], program.slice(1), {
  cwd: repository,
  stdio: 'inherit',
  env: { ...process.env, HOME: home, USER: user.name, LOGNAME: user.name, TMPDIR: ownFolder('tmp'), SHELL: '/bin/sh' },
});
process.exit(status ?? 1);

/** The whole of /etc is replaced: Linux gives an ordinary user no overlay over a folder that has mounts of others inside. */
function giveIdentity() {
  const etc = path.join(folder, 'etc');
  mustRun('cp', ['--archive', '/etc', etc]);
  const range = `${user.name}:${user.firstSubordinate}:${user.subordinates}\n`;
  appendFileSync(
    path.join(etc, 'passwd'),
    `${user.name}:x:${user.id}:${user.id}::${path.join(folder, 'home')}:/bin/sh\n`,
  );
  appendFileSync(path.join(etc, 'group'), `${user.name}:x:${user.id}:\n`);
  appendFileSync(path.join(etc, 'subuid'), range);
  appendFileSync(path.join(etc, 'subgid'), range);
  bind(etc, '/etc');
}

/** Desktops let every user make network tunnels; some servers and containers only root. */
function giveTunnels() {
  const tunnel = '/dev/net/tun';
  if (!existsSync(tunnel) || (statSync(tunnel).mode & 0o6) === 0o6) return;
  const open = path.join(folder, 'tun');
  mustRun('mknod', ['--mode=0666', open, 'c', '10', '200']);
  bind(open, tunnel);
}

/** The repository may lie in a home that is closed to others. */
function showRepository() {
  const shown = path.join(folder, 'repository');
  mkdirSync(shown);
  bind(root, shown);
  return shown;
}

function ownFolder(name) {
  const own = path.join(folder, name);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  chownSync(own, user.id, user.id);
  return own;
}

function bind(source, target) {
  mustRun('mount', ['--bind', source, target]);
}

function mustRun(program, args) {
  if (spawnSync(program, args, { stdio: 'inherit' }).status !== 0)
    throw new Error(`${program} ${args.join(' ')} failed`);
}

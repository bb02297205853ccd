import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Obstacle } from './obstacle.ts';

/** Where a daemon answers, and who said so. */
export interface Endpoint {
  /** `unix:///…`, `npipe:////./pipe/…`, `tcp://host:port` or `ssh://user@host`. */
  readonly url: string;
  /** Continues the sentence "found by …". */
  readonly from: string;
  readonly tls: Tls | undefined;
}

export interface Tls {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly verify: boolean;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly platform: NodeJS.Platform;
}

const here = (): Surroundings => ({ env: process.env, home: homedir(), platform: process.platform });

/**
 * As docker's own command line finds it, and else where the usual programs put their sockets: those that are there, the first
 * that answers is meant.
 */
export function findEndpoints(host: string | undefined, surroundings = here()): readonly Endpoint[] | Obstacle {
  const { env, home } = surroundings;
  const [said, from] = host ? [host, 'COPPICE_DOCKER_HOST'] : [env.DOCKER_HOST, 'DOCKER_HOST'];
  if (said) return asList(addressed(said, from, surroundings));
  const folder = env.DOCKER_CONFIG ?? path.join(home, '.docker');
  const context = env.DOCKER_CONTEXT || currentContext(folder);
  if (context !== undefined && context !== 'default') return asList(contextEndpoint(folder, context));
  const sockets = usualSockets(surroundings).filter(socket => existsSync(socket));
  if (sockets.length === 0) return notFound(surroundings);
  return sockets.map(socket => ({
    url: surroundings.platform === 'win32' ? `npipe://${socket}` : `unix://${socket}`,
    from: 'its usual place',
    tls: undefined,
  }));
}

const asList = (found: Endpoint | Obstacle): readonly Endpoint[] | Obstacle => ('reason' in found ? found : [found]);

/** Installed and not started is another trouble than not installed. */
function notFound({ env, platform }: Surroundings): Obstacle {
  const folders = (env.PATH ?? '').split(path.delimiter).filter(folder => path.isAbsolute(folder));
  const ending = platform === 'win32' ? '.exe' : '';
  const program = ['docker', 'podman']
    .flatMap(name => folders.map(folder => path.join(folder, `${name}${ending}`)))
    .find(file => existsSync(file));
  if (program === undefined)
    return {
      reason: 'neither Docker nor Podman is installed: no socket at its usual place, no DOCKER_HOST, no docker context',
      fix: 'Install Docker or Podman and start it, or say where it is by DOCKER_HOST.',
    };
  const name = path.basename(program, ending) === 'docker' ? 'Docker' : 'Podman';
  return {
    reason: `${name} is installed (${program}), but no daemon runs: there is no socket at its usual place`,
    fix:
      name === 'Docker'
        ? 'Start it: `sudo systemctl start docker`, or the Docker application; or say where it is by DOCKER_HOST.'
        : 'Start its service: `systemctl --user start podman.socket`, or `podman machine start`.',
  };
}

/** What a person wrote: refused when it is no address, and never shown with a password. */
function addressed(said: string, from: string, { env, home }: Surroundings): Endpoint | Obstacle {
  const url = /^[\w.-]+:\d+$/.test(said) ? `tcp://${said}` : said;
  if (!isAddress(url))
    return {
      reason: `${from} is no address of a daemon: ${JSON.stringify(said.replace(/\/\/[^/@]*@/, '//…@').slice(0, 200))}`,
      fix: `Set ${from} to unix:///path, npipe:////./pipe/name, tcp://host:port or ssh://user@host.`,
    };
  const tls = tlsOf(env, home, url);
  return tls && 'reason' in tls ? tls : { url, from, tls };
}

function isAddress(url: string): boolean {
  if (/^unix:\/\/\/./.test(url)) return !url.includes('\0');
  if (/^npipe:\/\/\/\/./.test(url)) return true;
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password, pathname } = new URL(url);
  if (hostname === '' || password !== '' || hostname.startsWith('-')) return false;
  if (!['', '/'].includes(pathname)) return false;
  if (protocol === 'ssh:') return !username.startsWith('-');
  return ['tcp:', 'http:', 'https:'].includes(protocol) && username === '';
}

export function usualSockets({ env, home, platform }: Surroundings): readonly string[] {
  if (platform === 'win32') return ['//./pipe/docker_engine', '//./pipe/podman-machine-default'];
  const runtime = env.XDG_RUNTIME_DIR;
  const inHome = (...names: string[]) => path.join(home, ...names);
  return [
    '/var/run/docker.sock',
    inHome('.docker', 'run', 'docker.sock'),
    inHome('.docker', 'desktop', 'docker.sock'),
    inHome('.orbstack', 'run', 'docker.sock'),
    inHome('.colima', 'default', 'docker.sock'),
    inHome('.rd', 'docker.sock'),
    ...(runtime ? [path.join(runtime, 'docker.sock'), path.join(runtime, 'podman', 'podman.sock')] : []),
    inHome('.local', 'share', 'containers', 'podman', 'machine', 'podman.sock'),
    inHome('.local', 'share', 'containers', 'podman', 'machine', 'podman-machine-default', 'podman.sock'),
    ...(env.TMPDIR ? [path.join(env.TMPDIR, 'podman', 'podman-machine-default-api.sock')] : []),
    '/run/podman/podman.sock',
  ];
}

function currentContext(folder: string): string | undefined {
  const config = readJson<{ currentContext?: unknown }>(path.join(folder, 'config.json'));
  return typeof config?.currentContext === 'string' && config.currentContext !== '' ? config.currentContext : undefined;
}

/** A context's files lie in folders named by the hash of its name. */
function contextEndpoint(folder: string, name: string): Endpoint | Obstacle {
  const hash = createHash('sha256').update(name).digest('hex');
  const file = path.join(folder, 'contexts', 'meta', hash, 'meta.json');
  const meta = readJson<{ Endpoints?: { docker?: { Host?: unknown; SkipTLSVerify?: unknown } } }>(file);
  const docker = meta?.Endpoints?.docker;
  if (typeof docker?.Host !== 'string' || docker.Host === '') {
    return {
      reason: `the docker context ${JSON.stringify(name)} is not there, or names no host`,
      fix: 'Choose another by `docker context use`, or say where the daemon is by DOCKER_HOST.',
    };
  }
  if (!isAddress(docker.Host))
    return {
      reason: `the docker context ${JSON.stringify(name)} names no address of a daemon: ${JSON.stringify(docker.Host)}`,
      fix: 'Correct it by `docker context update`, or choose another by `docker context use`.',
    };
  const tls = readTls(path.join(folder, 'contexts', 'tls', hash, 'docker'), docker.SkipTLSVerify !== true);
  if ('reason' in tls) return tls;
  const secure = tls.ca !== undefined || tls.cert !== undefined || !tls.verify;
  return { url: docker.Host, from: `the docker context ${name}`, tls: secure ? tls : undefined };
}

/** As docker's command line takes it: to verify without an authority to verify by is an error, not plain text. */
function tlsOf(env: Surroundings['env'], home: string, url: string): Tls | Obstacle | undefined {
  if (!/^(tcp|https):/.test(url) || (!env.DOCKER_TLS_VERIFY && !env.DOCKER_TLS)) return undefined;
  const folder = env.DOCKER_CERT_PATH || env.DOCKER_CONFIG || path.join(home, '.docker');
  const tls = readTls(folder, Boolean(env.DOCKER_TLS_VERIFY));
  if ('reason' in tls) return tls;
  if (tls.verify && tls.ca === undefined)
    return {
      reason: `DOCKER_TLS_VERIFY is set, and there is no ca.pem to be read in ${folder}`,
      fix: 'Set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem.',
    };
  return tls;
}

/** What is not there is not meant to be used. What is there and cannot be used must not make it plain text. */
function readTls(folder: string, verify: boolean): Tls | Obstacle {
  const fix = `Let ${folder} have ca.pem, cert.pem and key.pem that you may read.`;
  const found: { [name: string]: string } = {};
  for (const name of ['ca.pem', 'cert.pem', 'key.pem']) {
    try {
      found[name] = readFileSync(path.join(folder, name), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR') return { reason: `${folder}/${name} cannot be read: ${code}`, fix };
    }
  }
  const { 'ca.pem': ca, 'cert.pem': cert, 'key.pem': key } = found;
  if ((cert === undefined) !== (key === undefined))
    return { reason: `of cert.pem and key.pem there is only one in ${folder}`, fix };
  return { ca, cert, key, verify };
}

/** undefined: not there, or not to be read; whoever needs it says so in its own words. */
function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

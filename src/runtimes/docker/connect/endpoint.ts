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

/** As docker's own command line finds it, and then where the usual programs put their sockets. */
export function findEndpoint(host: string | undefined, { env, home, platform } = here()): Endpoint | Obstacle {
  if (host) return { url: host, from: 'COPPICE_DOCKER_HOST', tls: tlsOf(env, home, host) };
  if (env.DOCKER_HOST) return { url: env.DOCKER_HOST, from: 'DOCKER_HOST', tls: tlsOf(env, home, env.DOCKER_HOST) };
  const folder = env.DOCKER_CONFIG ?? path.join(home, '.docker');
  const context = env.DOCKER_CONTEXT || currentContext(folder);
  if (context !== undefined && context !== 'default') return contextEndpoint(folder, context);
  const found = usualSockets({ env, home, platform }).find(socket => existsSync(socket));
  if (found)
    return {
      url: platform === 'win32' ? `npipe://${found}` : `unix://${found}`,
      from: 'its usual place',
      tls: undefined,
    };
  return {
    reason: 'neither Docker nor Podman was found: no socket at its usual place, no DOCKER_HOST, no docker context',
    fix: 'Install Docker or Podman and start it, or say where it is by DOCKER_HOST.',
  };
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
  const tls = readTls(path.join(folder, 'contexts', 'tls', hash, 'docker'), docker.SkipTLSVerify !== true);
  return { url: docker.Host, from: `the docker context ${name}`, tls };
}

function tlsOf(env: Surroundings['env'], home: string, url: string): Tls | undefined {
  if (!url.startsWith('tcp://') || (!env.DOCKER_TLS_VERIFY && !env.DOCKER_TLS)) return undefined;
  return readTls(env.DOCKER_CERT_PATH ?? path.join(home, '.docker'), Boolean(env.DOCKER_TLS_VERIFY));
}

function readTls(folder: string, verify: boolean): Tls | undefined {
  const read = (name: string) => {
    const file = path.join(folder, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  };
  const tls = { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem'), verify };
  return tls.ca === undefined && tls.cert === undefined ? undefined : tls;
}

/** undefined: not there, or not to be read; whoever needs it says so in its own words. */
function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

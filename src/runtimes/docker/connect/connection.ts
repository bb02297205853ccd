import { Agent } from 'node:https';
import type Docker from 'dockerode';
import { CoppiceError } from '../../../protocol/errors.ts';
import { type Endpoint, findEndpoints } from './endpoint.ts';
import { explain, isObstacle, type Obstacle, unavailable } from './obstacle.ts';
import { SshAgent } from './sshAgent.ts';

export type Dockerode = typeof Docker;

/** What a daemon says of itself. */
export interface Daemon {
  readonly api: Docker;
  readonly endpoint: Endpoint;
  readonly podman: boolean;
  readonly version: string;
  /** As Docker names it: amd64, arm64. */
  readonly architecture: string;
}

/** Connections that lead to Podman, for who has but a container of one. */
const podmans = new WeakSet<object>();
export const isPodman = (container: Docker.Container): boolean => podmans.has(container.modem);

/** The oldest API that has everything that is asked of it: Docker 19.03. */
const oldestApi = 1.4;

/**
 * The way to a daemon, found when it is first needed. Every request is a connection of its own, so a daemon that was
 * restarted is simply there again; one that moved is looked for anew after a failure.
 */
export class Connection {
  readonly #host: string | undefined;
  readonly #load: () => Promise<Dockerode>;
  readonly #answerMs: number;
  #daemon: Promise<Daemon> | undefined;

  /** `load` brings the library, which is large: only who talks to a daemon pays for it. */
  constructor(host: string | undefined, load: () => Promise<Dockerode>, answerMs = 20_000) {
    this.#host = host;
    this.#load = load;
    this.#answerMs = answerMs;
  }

  daemon(): Promise<Daemon> {
    if (!this.#daemon) {
      this.#daemon = this.#connect();
      this.#daemon.catch(() => {
        this.#daemon = undefined;
      });
    }
    return this.#daemon;
  }

  /** Is it there now? Rejects with why not. */
  async check(): Promise<Daemon> {
    const daemon = await this.daemon();
    try {
      await answer(daemon.api.ping(), this.#answerMs);
      return daemon;
    } catch {
      // Perhaps another answers at another place now.
      this.#daemon = undefined;
      return this.daemon();
    }
  }

  /** What was asked failed: is it that the daemon is gone? Then that is the error. */
  async understood(error: unknown): Promise<unknown> {
    if (error instanceof CoppiceError || (error as { statusCode?: number }).statusCode !== undefined) return error;
    const daemon = await this.#daemon?.catch(() => undefined);
    const obstacle = daemon && explain(error, daemon.endpoint);
    if (!obstacle) return error;
    this.#daemon = undefined;
    return unavailable(obstacle);
  }

  async #connect(): Promise<Daemon> {
    const endpoints = findEndpoints(this.#host);
    if (isObstacle(endpoints)) throw unavailable(endpoints);
    const Api = await this.#load();
    let first: unknown;
    for (const endpoint of endpoints) {
      try {
        return await this.#reach(endpoint, Api);
      } catch (error) {
        // One of several programs whose socket is still there may have ended.
        first ??= error;
      }
    }
    throw first;
  }

  async #reach(endpoint: Endpoint, Api: Dockerode): Promise<Daemon> {
    try {
      const api = madeOf(Api, optionsOf(endpoint));
      const version = (await answer(api.version(), this.#answerMs)) as unknown as Version;
      const tooOld = ageOf(version, endpoint);
      if (tooOld) throw unavailable(tooOld);
      const podman = (version.Components ?? []).some(({ Name }) => /podman/i.test(Name));
      if (podman) podmans.add(api.modem);
      return { api, endpoint, podman, version: version.Version, architecture: version.Arch };
    } catch (error) {
      if (error instanceof CoppiceError) throw error;
      throw unavailable(explain(error, endpoint) ?? strange(error, endpoint));
    }
  }
}

/** The library takes what it is not given from DOCKER_HOST, also where that was overruled or is wrong. */
function madeOf(Api: Dockerode, options: Docker.DockerOptions): Docker {
  const host = process.env.DOCKER_HOST;
  delete process.env.DOCKER_HOST;
  try {
    return new Api(options);
  } finally {
    if (host !== undefined) process.env.DOCKER_HOST = host;
  }
}

interface Version {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly Arch: string;
  readonly Components?: readonly { readonly Name: string }[];
}

function ageOf({ Version: version, ApiVersion: api }: Version, endpoint: Endpoint): Obstacle | undefined {
  if (api === undefined) return strange(new Error('it does not say which version it is'), endpoint);
  const [major = 0, minor = 0] = api.split('.').map(Number);
  const [oldMajor = 0, oldMinor = 0] = oldestApi.toFixed(2).split('.').map(Number);
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return undefined;
  return {
    reason: `the daemon at ${endpoint.url} is too old: version ${version}, API ${api}`,
    fix: 'Install Docker 19.03 or newer, or Podman 4 or newer.',
  };
}

function strange(error: unknown, endpoint: Endpoint): Obstacle {
  return {
    reason: `what answers at ${endpoint.url} (found by ${endpoint.from}) is no container daemon: ${(error as Error).message}`,
    fix: 'Correct DOCKER_HOST or the docker context.',
  };
}

export function optionsOf({ url, tls }: Endpoint): Docker.DockerOptions {
  if (url.startsWith('unix://')) return { socketPath: url.slice('unix://'.length) };
  if (url.startsWith('npipe://')) return { socketPath: url.slice('npipe://'.length).replaceAll('/', '\\') };
  // The library's own ssh knows neither known hosts nor the user's configuration.
  if (url.startsWith('ssh://'))
    return { protocol: 'http', host: 'docker', agent: new SshAgent(url) } as Docker.DockerOptions;
  const { hostname, port, protocol } = new URL(url);
  if (!['tcp:', 'http:', 'https:'].includes(protocol)) throw new Error(`nothing is known of ${protocol}//`);
  const secure = tls !== undefined || protocol === 'https:';
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 2376 : 2375) : Number(port),
    protocol: secure ? 'https' : 'http',
    ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls?.key === undefined ? {} : { key: tls.key }),
    // The library has no other way to be told.
    ...(tls && !tls.verify ? { agent: new Agent({ rejectUnauthorized: false }) } : {}),
  } as Docker.DockerOptions;
}

async function answer<T>(asked: Promise<T>, withinMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })), withinMs);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

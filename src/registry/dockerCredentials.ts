import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { askCredentialProgram } from './credentialProgram.ts';
import type { CredentialSource, Credentials, FoundCredentials } from './credentials.ts';

interface DockerConfig {
  readonly auths?: Readonly<Record<string, AuthEntry | undefined>>;
  readonly credHelpers?: Readonly<Record<string, unknown>>;
  readonly credsStore?: unknown;
}
interface AuthEntry {
  readonly auth?: unknown;
  readonly username?: unknown;
  readonly password?: unknown;
  readonly identitytoken?: unknown;
}

const NOTHING: FoundCredentials = { credentials: undefined };

/**
 * What `docker login`, `podman login` and `skopeo login` left: Docker's `config.json` with its credential helpers, and
 * the `auth.json` of Podman's family. Read anew each time; a login needs no restart of ours.
 */
export function dockerCredentials(env: NodeJS.ProcessEnv): CredentialSource {
  return {
    async find(registry) {
      let trouble: string | undefined;
      for (const file of configFiles(env)) {
        const found = await findIn(file, registry, env);
        if (found.credentials) return found;
        trouble ??= found.trouble;
      }
      return { credentials: undefined, ...(trouble === undefined ? {} : { trouble }) };
    },
  };
}

function configFiles(env: NodeJS.ProcessEnv): string[] {
  const home = env.HOME ?? homedir();
  return [
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    path.join(env.DOCKER_CONFIG || path.join(home, '.docker'), 'config.json'),
    ...(env.XDG_RUNTIME_DIR ? [path.join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json')] : []),
    path.join(env.XDG_CONFIG_HOME ?? path.join(home, '.config'), 'containers', 'auth.json'),
  ];
}

async function findIn(file: string, registry: string, env: NodeJS.ProcessEnv): Promise<FoundCredentials> {
  const config = readConfig(file);
  if (config === undefined) return NOTHING;
  if (typeof config === 'string') return { credentials: undefined, trouble: config };
  const servers = serverNames(registry);
  const helper = helperFor(config, servers);
  if (helper !== undefined) {
    try {
      const credentials = await askCredentialProgram(helper.name, helper.server, env);
      if (credentials) return { credentials };
    } catch (error) {
      const trouble = `docker-credential-${helper.name} was asked in vain: ${(error as Error).message}.`;
      return { credentials: plainEntry(config, servers), trouble };
    }
  }
  return { credentials: plainEntry(config, servers) };
}

/** A sentence when there is one that cannot be read. */
function readConfig(file: string): DockerConfig | string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : `${file} cannot be read (${code}).`;
  }
  try {
    const config: unknown = JSON.parse(text);
    return typeof config === 'object' && config !== null ? config : `${file} is not a configuration.`;
  } catch {
    return `${file} is not JSON.`; // The parser's own message would quote it.
  }
}

/** The names one registry goes by in these files, the usual one first. */
function serverNames(registry: string): string[] {
  // Without TLS only what was kept for exactly that.
  if (registry.startsWith('http://')) return [registry];
  const hosts = registry === 'docker.io' ? ['index.docker.io', 'docker.io', 'registry-1.docker.io'] : [registry];
  const names = hosts.flatMap(host => [
    host,
    `https://${host}`,
    `https://${host}/v1/`,
    `https://${host}/v2/`,
    `http://${host}`,
  ]);
  return registry === 'docker.io' ? ['https://index.docker.io/v1/', ...names] : names;
}

function helperFor(
  config: DockerConfig,
  servers: readonly string[],
): { readonly name: string; readonly server: string } | undefined {
  for (const server of servers) {
    const name = own(config.credHelpers, server);
    if (typeof name === 'string' && name !== '') return { name, server };
  }
  const { credsStore } = config;
  return typeof credsStore === 'string' && credsStore !== '' ? { name: credsStore, server: servers[0]! } : undefined;
}

function plainEntry(config: DockerConfig, servers: readonly string[]): Credentials | undefined {
  for (const server of servers) {
    const entry = own(config.auths, server);
    const credentials = entry && readEntry(entry);
    if (credentials) return credentials;
  }
  return undefined;
}

function readEntry(entry: AuthEntry): Credentials | undefined {
  const { auth, username, password, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '') return { kind: 'identity', token: identitytoken };
  if (typeof auth === 'string' && auth !== '') {
    const text = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '');
    const colon = text.indexOf(':');
    return colon < 1
      ? undefined
      : { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  return typeof username === 'string' && typeof password === 'string' && username !== ''
    ? { kind: 'password', username, password }
    : undefined;
}

function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return typeof record === 'object' && record !== null && Object.hasOwn(record, key) ? record[key] : undefined;
}

import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';

/** Who is believed to be a registry: Node's own list, `NODE_EXTRA_CA_CERTS`, the machine's list, and Docker's `certs.d`. */

/** Docker's and Podman's folders for a host: `*.crt` are authorities, `*.cert` with `*.key` say who we are. */
function certificateFolders(host: string, env: NodeJS.ProcessEnv): string[] {
  const home = env.HOME ?? homedir();
  const config = env.XDG_CONFIG_HOME ?? path.join(home, '.config');
  return [
    '/etc/docker/certs.d',
    '/etc/containers/certs.d',
    path.join(env.DOCKER_CONFIG ?? path.join(home, '.docker'), 'certs.d'),
    path.join(config, 'docker', 'certs.d'),
    path.join(config, 'containers', 'certs.d'),
  ].map(folder => path.join(folder, host));
}

/** Reading all authorities takes as long as asking a registry a dozen times, so what is the same for most is kept. */
export class Trust {
  readonly #env: NodeJS.ProcessEnv;
  #usual: tls.SecureContext | undefined;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** `certs.d` is read anew each time: what is put there counts at once. */
  contextFor(host: string): tls.SecureContext {
    const files = certificateFolders(host, this.#env).flatMap(readFolder);
    const own = files.filter(file => file.endsWith('.crt'));
    const client = files.find(file => file.endsWith('.cert'));
    if (own.length > 0 || client !== undefined) return contextOf(own, client);
    this.#usual ??= contextOf([], undefined);
    return this.#usual;
  }
}

/** Trusts nobody: enough to see whether TLS is spoken at all. */
export const trustingNobody = (): tls.SecureContext => tls.createSecureContext({ ca: [] });

function contextOf(authorities: readonly string[], client: string | undefined): tls.SecureContext {
  return tls.createSecureContext({
    ca: [...machineAuthorities(), ...authorities.map(file => readFileSync(file, 'utf8'))],
    ...(client === undefined
      ? {}
      : { cert: readFileSync(client), key: readFileSync(client.replace(/\.cert$/, '.key')) }),
  });
}

/** Both are read once by Node itself. */
function machineAuthorities(): string[] {
  return [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')])];
}

function readFolder(folder: string): string[] {
  // A host never leads out of certs.d: it holds no slash.
  try {
    return readdirSync(folder).map(name => path.join(folder, name));
  } catch {
    return []; // The usual case: nothing is said about this host.
  }
}

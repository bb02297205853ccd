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

export function secureContextFor(host: string, env: NodeJS.ProcessEnv): tls.SecureContext {
  const folders = certificateFolders(host, env).flatMap(readFolder);
  const own = folders.filter(file => file.endsWith('.crt')).map(file => readFileSync(file, 'utf8'));
  const client = folders.find(file => file.endsWith('.cert'));
  return tls.createSecureContext({
    ca: [...machineAuthorities(), ...own],
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

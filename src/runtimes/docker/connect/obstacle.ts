import { CoppiceError } from '../../../protocol/errors.ts';
import type { Endpoint } from './endpoint.ts';

/** Why no daemon can be used, and the cure. */
export interface Obstacle {
  readonly reason: string;
  /** An imperative sentence. */
  readonly fix: string;
}

export const isObstacle = (found: readonly Endpoint[] | Obstacle): found is Obstacle => 'reason' in found;

export const unavailable = ({ reason, fix }: Obstacle): CoppiceError =>
  new CoppiceError('runtime_unavailable', `the docker runtime is not available: ${reason}`, { fix });

/** Tells apart why a daemon at an address did not answer; undefined when that was not the trouble. */
export function explain(error: unknown, endpoint: Endpoint): Obstacle | undefined {
  const { code, message = String(error) } = error as NodeJS.ErrnoException;
  const where = `${endpoint.url} (found by ${endpoint.from})`;
  const local = /^(unix|npipe):/.test(endpoint.url);
  switch (code) {
    case 'ENOENT':
      return endpoint.from === 'its usual place'
        ? { reason: `the daemon is gone from ${where}`, fix: 'Start Docker or Podman.' }
        : {
            reason: `there is nothing at ${where}`,
            fix: endpoint.from.startsWith('the docker context')
              ? 'Start its daemon, or choose another by `docker context use`.'
              : `Start the daemon, or correct ${endpoint.from}.`,
          };
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
      return { reason: `the daemon does not run: ${where} answers nothing`, fix: startIt(local) };
    case 'EACCES':
    case 'EPERM':
      return {
        reason: `this user may not use ${where}`,
        fix: 'Add the user to the group docker (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker or Podman.',
      };
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return { reason: `the machine of ${where} is not reached: ${message}`, fix: 'Check its name and the network.' };
    case 'ETIMEDOUT':
    case 'ESOCKETTIMEDOUT':
      return { reason: `${where} did not answer in time`, fix: 'Restart the daemon, or look why it hangs.' };
  }
  if (/certificate|TLS|SSL|EPROTO|handshake/i.test(`${code} ${message}`))
    return {
      reason: `no trusted connection to ${where}: ${message}`,
      fix: 'Check DOCKER_TLS_VERIFY, DOCKER_CERT_PATH or the context’s certificates.',
    };
  if (endpoint.url.startsWith('ssh:') && /ssh/.test(message))
    return {
      reason: `no connection by ssh to ${where}: ${message}`,
      fix: 'Check that `ssh` reaches it without a password and that docker is installed there.',
    };
  return undefined;
}

const startIt = (local: boolean): string =>
  local
    ? 'Start it: `sudo systemctl start docker`, `podman system service`, or the Docker application.'
    : 'Start the daemon there, and check its port.';

import tls from 'node:tls';
import { connectionTrouble } from './registryErrors.ts';
import { trustingNobody } from './trust.ts';

/** Does a server of this machine understand the greeting? Nothing else is said to it; who it is, is looked at later. */
export function speaksTls(address: URL, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const host = address.hostname.replace(/^\[|\]$/g, '');
  const port = Number(address.port === '' ? 443 : address.port);
  const socket = tls.connect({ host, port, secureContext: trustingNobody(), rejectUnauthorized: false });
  const leave = () => socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', leave, { once: true });
  socket.setTimeout(5_000, () => socket.destroy(Object.assign(new Error('it is silent'), { code: 'ETIMEDOUT' })));
  socket.once('secureConnect', () => resolve(true));
  socket.once('error', (error: NodeJS.ErrnoException) => {
    // What answers in plain text, or hangs up at a greeting that it does not know.
    const unreachable = signal.aborted || error.code === 'ECONNREFUSED' || error.code === 'ETIMEDOUT';
    if (unreachable) reject(signal.aborted ? error : connectionTrouble(error, address.host));
    else resolve(false);
  });
  return promise.finally(() => {
    signal.removeEventListener('abort', leave);
    socket.destroy();
  });
}

import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';

/** Where dockerode's own requests go. */
interface Modem {
  readonly protocol: string;
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number | string;
  readonly agent?: import('node:http').Agent;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * The streams of a container's first process, from before it starts. dockerode sends the options as the request's body
 * too, and Podman takes those bytes for the first of the input: so this one request is made here, with none.
 */
export function attached(
  container: Docker.Container,
  { stdin, output }: { readonly stdin: boolean; readonly output: boolean },
): Promise<Duplex> {
  const { socketPath, host, port, agent, protocol, ca, cert, key } = container.modem as unknown as Modem;
  const query = new URLSearchParams({ stream: '1', stdin: stdin ? '1' : '0' });
  for (const stream of ['stdout', 'stderr']) query.set(stream, output ? '1' : '0');
  const place = socketPath === undefined ? { host, port } : { socketPath };
  const request = (protocol === 'https' ? overHttps : overHttp)({
    ...place,
    ...(agent === undefined ? { agent: false } : { agent }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    method: 'POST',
    path: `/containers/${container.id}/attach?${query}`,
    headers: { Connection: 'Upgrade', Upgrade: 'tcp', 'Content-Length': '0' },
  });
  return new Promise((resolve, reject) => {
    request.once('upgrade', (_response, socket: Duplex, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', response => {
      let said = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        if (said.length < 2000) said += text;
      });
      response.once('end', () => reject(refused(response.statusCode, said)));
    });
    request.once('error', reject);
    request.end();
  });
}

function refused(statusCode: number | undefined, said: string): Error {
  let message = said.trim();
  try {
    message = (JSON.parse(said) as { message?: string }).message ?? message;
  } catch {
    // Not every daemon answers in JSON.
  }
  return Object.assign(new Error(`the daemon does not attach: ${message}`), { statusCode });
}

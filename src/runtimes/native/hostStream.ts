import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';

/** A connection of its own to the host for one long stream; `name` goes into the request that uses it. */
export interface HostStream {
  readonly name: string;
  readonly socket: Socket;
}

export async function openHostStream(home: string): Promise<HostStream> {
  const name = randomUUID();
  // A socket's path may have 107 bytes, a store's path has as many as it likes.
  const folder = openSync(path.join(home, 'inbox'), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const socket = connect({ path: `/proc/self/fd/${folder}/streams.sock`, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.write(`${name}\n`);
    return { name, socket };
  } finally {
    closeSync(folder);
  }
}

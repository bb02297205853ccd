import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoppiceError } from '../../protocol/errors.ts';

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

export interface Outgoing {
  readonly stream: Readable;
  /** Rejects when the source turned out to be broken after its stream ended. */
  readonly whole?: Promise<void>;
}

/** Sends it, and answers what the host made of it. A source that breaks aborts the request instead of ending it early. */
export async function sendToHost<T>(
  home: string,
  outgoing: Outgoing,
  signal: AbortSignal,
  ask: (name: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { name, socket } = await openHostStream(home);
  const broken = new AbortController();
  let failure: unknown;
  const sending = pipeline(outgoing.stream, socket, { end: false, signal })
    .then(() => outgoing.whole)
    .then(() => void socket.end())
    .catch(error => {
      failure = error;
      broken.abort();
    });
  try {
    return await ask(name, AbortSignal.any([signal, broken.signal]));
  } catch (error) {
    signal.throwIfAborted();
    // The host's word about what it could not read comes first; when the source broke, it only knows it was stopped.
    throw broken.signal.aborted && isCancelled(error) ? failure : error;
  } finally {
    outgoing.stream.destroy();
    await sending;
    socket.destroy();
  }
}

/** What the host sends over a stream; it fails, instead of ending early, when the host could not send it whole. */
export async function receiveFromHost(home: string, ask: (name: string) => Promise<unknown>): Promise<Readable> {
  const { name, socket } = await openHostStream(home);
  const output = new PassThrough();
  socket.pipe(output, { end: false });
  const received = new Promise<void>(resolve => {
    socket.once('end', resolve);
    socket.once('close', resolve);
  });
  socket.on('error', error => output.destroy(error));
  output.on('close', () => socket.destroy());
  Promise.all([ask(name), received]).then(
    () => output.end(),
    (error: Error) => output.destroy(error),
  );
  return output;
}

function isCancelled(error: unknown): boolean {
  return error instanceof CoppiceError && (error.code === 'cancelled' || error.code === 'internal');
}

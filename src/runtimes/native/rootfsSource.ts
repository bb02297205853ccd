import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CoppiceError } from '../../protocol/errors.ts';

/** A tar or a folder of this machine on its way into an image. The engine reads it: the namespace's root may not. */

interface RootfsSource {
  readonly stream: Readable;
  /** Bytes to come, where that is known. */
  readonly total: number | null;
  /** Rejects when the source turned out to be broken after its stream ended. */
  readonly whole: Promise<void>;
}

/** Sends it, and answers what the host made of it. A source that breaks aborts the import instead of ending it early. */
export async function sendRootfs<T>(
  from: string,
  socket: Socket,
  signal: AbortSignal,
  ask: (total: number | null, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const source = await openRootfs(from, signal);
  const broken = new AbortController();
  let failure: unknown;
  const sending = pipeline(source.stream, socket, { end: false, signal })
    .then(() => source.whole)
    .then(() => void socket.end())
    .catch(error => {
      failure = error;
      broken.abort();
    });
  try {
    return await ask(source.total, AbortSignal.any([signal, broken.signal]));
  } catch (error) {
    signal.throwIfAborted();
    // The host's word about what it could not read comes first; when the source broke, it only knows it was stopped.
    throw broken.signal.aborted && isCancelled(error) ? failure : error;
  } finally {
    source.stream.destroy();
    await sending;
  }
}

/** The digest an import of it would have: of the archive as it is. A folder has none without being read whole. */
export async function identifyRootfs(from: string): Promise<string | undefined> {
  const stats = await stat(from).catch(() => undefined);
  if (!stats?.isFile()) return undefined;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(from, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

async function openRootfs(from: string, signal: AbortSignal): Promise<RootfsSource> {
  const stats = await stat(from).catch((error: Error) => {
    throw new CoppiceError('path_not_found', `${from} cannot be read: ${error.message}`, {
      field: 'registry_url',
      fix: 'Give the absolute path of a tar or a folder that you may read.',
    });
  });
  if (stats.isDirectory()) return openFolder(from, signal);
  if (!stats.isFile()) {
    throw new CoppiceError('import_failed', `${from} is neither a file nor a folder`, { field: 'registry_url' });
  }
  const stream = createReadStream(from, { highWaterMark: 1 << 20 });
  return { stream, total: stats.size, whole: Promise.resolve() };
}

function openFolder(from: string, signal: AbortSignal): RootfsSource {
  const tar = spawn('tar', ['--create', '--numeric-owner', '--one-file-system', `--directory=${from}`, '.'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  let complaint = '';
  tar.stderr.on('data', (text: Buffer) => {
    if (complaint.length < 2000) complaint += text;
  });
  const whole = new Promise<void>((resolve, reject) => {
    tar.once('error', reject);
    tar.once('close', code => {
      if (code === 0) resolve();
      else reject(new CoppiceError('import_failed', `${from} could not be read whole: ${complaint.trim()}`));
    });
  });
  whole.catch(() => undefined);
  return { stream: tar.stdout, total: null, whole };
}

function isCancelled(error: unknown): boolean {
  return error instanceof CoppiceError && (error.code === 'cancelled' || error.code === 'internal');
}

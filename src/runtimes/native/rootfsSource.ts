import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CoppiceError } from '../../protocol/errors.ts';
import type { Outgoing } from './hostStream.ts';

/** A tar or a folder of this machine on its way into an image. The engine reads it: the namespace's root may not. */

interface RootfsSource extends Outgoing {
  /** Bytes to come, where that is known. */
  readonly total: number | null;
}

/** The digest an import of it would have: of the archive as it is. A folder has none without being read whole. */
export async function identifyRootfs(from: string): Promise<string | undefined> {
  const stats = await stat(from).catch(() => undefined);
  if (!stats?.isFile()) return undefined;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(from, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

/** `whole` rejects when the source turned out to be broken after its stream ended. */
export async function openRootfs(from: string, signal: AbortSignal): Promise<RootfsSource> {
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
  return { stream, total: stats.size };
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

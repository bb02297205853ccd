import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import * as path from 'node:path';
import type { LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { CoppiceError } from '../../../../protocol/errors.ts';
import { text } from '../layers/bytePaths.ts';
import { normal } from './viewFiles.ts';
import { canonical } from './walk.ts';

/** How much of what tar complains about is worth telling. */
const maxComplaint = 2000;

/**
 * A tar of a file or folder, names relative to its parent, written by `tar` itself straight into the socket: nothing
 * passes through this process. A file with several names is sent once for each. Files private to the machine's root
 * are left out.
 */
export async function archiveTo(
  root: LinuxRootedFolder,
  name: string,
  output: Socket,
  signal?: AbortSignal,
): Promise<void> {
  const asked = normal(name);
  root.lstat(asked);
  const folder = text(canonical(root, path.posix.dirname(asked)));
  const entry = asked === '/' ? '.' : path.posix.basename(asked);
  const options = ['--create', '--format=gnu', '--numeric-owner', '--hard-dereference', '--ignore-failed-read'];
  const child = spawn('tar', [...options, '--warning=no-file-ignored', `--directory=${folder}`, '--', entry], {
    stdio: ['ignore', output, 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    ...(signal === undefined ? {} : { signal, killSignal: 'SIGKILL' as const }),
  });
  let complaint = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    if (complaint.length < maxComplaint) complaint += chunk.toString();
  });
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (code !== 0 && code !== 1)
      throw new CoppiceError('internal', `tar of ${asked} ended with ${code}: ${complaint.trim()}`, {
        data: { path: asked },
      });
  } finally {
    output.destroy();
  }
}

import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoppiceError } from '../../protocol/errors.ts';
import { insideProgram } from './tools.ts';

const lookMs = 8;
const mostMs = 60_000;

/** Runs our own program in a living container; answers its exit code. */
export async function runInside(
  container: Docker.Container,
  args: readonly string[],
  options: { readonly user?: string | undefined; readonly input?: Buffer } = {},
): Promise<number> {
  const { user = '0:0', input } = options;
  const exec = await container.exec({
    Cmd: [insideProgram, ...args],
    AttachStdin: input !== undefined,
    AttachStdout: true,
    AttachStderr: true,
    WorkingDir: '/',
    User: user,
  });
  const stream = (await exec.start({ hijack: true, stdin: input !== undefined })) as Duplex;
  // What breaks it is told by what became of the program.
  stream.on('error', () => stream.destroy());
  stream.resume();
  if (input) stream.end(input);
  try {
    for (const deadline = Date.now() + mostMs; Date.now() < deadline; await pause(lookMs)) {
      const { Running, ExitCode } = await exec.inspect();
      if (!Running && ExitCode !== null) return ExitCode;
    }
  } finally {
    stream.destroy();
  }
  throw new CoppiceError('timeout', `the program inside a container did not end: ${args[0]}`);
}

/** Names as `inside remove` reads them: each with a NUL, and an empty one last. */
export const nameList = (names: readonly string[]): Buffer =>
  Buffer.from(`${names.map(name => `${name}\0`).join('')}\0`, 'latin1');

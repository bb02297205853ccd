import { CoppiceError } from '../../protocol/errors.ts';
import type { JobParams } from './jobs.ts';
import type { Workplace } from './performer.ts';

const FOLDER = '/tmp/.coppice-call';
const files = { program: `${FOLDER}/call.cjs`, args: `${FOLDER}/args`, result: `${FOLDER}/result` };

/** Runs inside: a whole program, because the function brings nothing but itself. */
const PROGRAM = `
const { readFileSync, writeFileSync } = require('node:fs');
const { deserialize, serialize } = require('node:v8');
const leave = outcome => writeFileSync(${JSON.stringify(files.result)}, serialize(outcome));
const failure = error => ({
  name: String(error?.name ?? 'Error'),
  message: String(error?.message ?? error),
  stack: String(error?.stack ?? error),
});
const call = async () => {
  const { source, args } = deserialize(readFileSync(${JSON.stringify(files.args)}));
  return (0, eval)('(' + source + ')')(...args);
};
call().then(value => leave({ value })).catch(error => leave({ error: failure(error) }));
`;

/** A sandbox of its own for one call: the program and its arguments go in as files, what it leaves comes out as one. */
export async function remote(
  { client, perform }: Workplace,
  { sandbox, args, timeoutMs }: JobParams<'remote'>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const id = sandbox.sandbox_id;
  await perform('create', sandbox, signal);
  try {
    const write = (path: string, bytes: Uint8Array, mode: number) =>
      perform('writeFile', { sandbox: id, path, bytes, mode, append: false }, signal);
    await write(files.program, Buffer.from(PROGRAM), 0o644);
    await write(files.args, args, 0o644);
    // Whoever runs inside may write to it.
    await write(files.result, new Uint8Array(), 0o666);
    const input = {
      sandbox_id: id,
      process_id: `pr-${crypto.randomUUID().replaceAll('-', '')}`,
      command: ['node', files.program],
      timeout: timeoutMs / 1000,
    };
    const { view, stderr } = await perform('exec', { input, stdin: undefined }, signal).catch(error => {
      throw withoutNode(error);
    });
    if (view.timed_out) throw tooSlow(id, timeoutMs);
    const result = await perform('readFile', { sandbox: id, path: files.result }, signal);
    if (result.byteLength > 0) return result;
    throw leftNothing(id, view.exit_code, Buffer.from(stderr).toString());
  } finally {
    // One that does not stop now ends with the connection; what the function did is the answer all the same.
    const engine = await client();
    await engine.call('stop_sandbox', { sandbox_id: id }).catch(() => undefined);
  }
}

function withoutNode(error: unknown): unknown {
  if (!(error instanceof CoppiceError && error.code === 'command_not_started')) return error;
  return new CoppiceError(
    'command_not_started',
    'a remote function needs Node, and the image has no `node` on its PATH',
    {
      fix: 'Give the session an image with Node in it.',
      cause: error,
    },
  );
}

function tooSlow(id: string, timeoutMs: number): CoppiceError {
  return new CoppiceError('timeout', `the remote function did not end within ${timeoutMs} ms`, {
    data: { sandbox_id: id },
  });
}

function leftNothing(id: string, exitCode: number | null, stderr: string): CoppiceError {
  return new CoppiceError(
    'execution_failed',
    `the remote function ended with exit code ${exitCode} and no result: ${stderr.slice(-2000).trim()}`,
    { data: { sandbox_id: id } },
  );
}

import { spawn } from 'node:child_process';
import type { Credentials } from './credentials.ts';

const PATIENCE_MS = 30_000;
const MOST_BYTES = 64 * 1024;
const NAME = /^[\w.-]+$/;

/** Asks `docker-credential-NAME` what it keeps for a server; undefined when it has nothing. Its output goes nowhere else. */
export async function askCredentialProgram(
  name: string,
  server: string,
  env: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> {
  if (!NAME.test(name)) throw new Error('its name is no name of a program');
  const { code, output } = await runProgram(`docker-credential-${name}`, server, env);
  if (code !== 0) {
    // Helpers say it in these words, on stdout.
    if (/credentials not found|not found in native keychain/i.test(output)) return undefined;
    throw new Error(`it ended with ${code}`);
  }
  return readAnswer(output);
}

function runProgram(
  program: string,
  server: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(program, ['get'], { stdio: ['pipe', 'pipe', 'ignore'], env });
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; output: string }>();
  let output = '';
  child.stdout.on('data', (text: Buffer) => {
    output += text;
    if (output.length > MOST_BYTES) reject(new Error('its answer has no end'));
  });
  child.once('error', (error: NodeJS.ErrnoException) =>
    reject(new Error(error.code === 'ENOENT' ? 'it is not on the PATH' : (error.code ?? 'it cannot be started'))),
  );
  child.once('close', code => resolve({ code, output }));
  child.stdin.on('error', () => undefined); // It ended without reading; its exit code says why.
  child.stdin.end(`${server}\n`);
  const timer = setTimeout(() => reject(new Error(`it does not answer within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
  return promise.finally(() => {
    clearTimeout(timer);
    child.kill('SIGKILL');
    child.stdout.destroy(); // What it started may live on and write.
  });
}

function readAnswer(output: string): Credentials | undefined {
  const answer = parse(output);
  const { Username: username, Secret: secret } = answer;
  if (typeof username !== 'string' || typeof secret !== 'string') throw new Error('its answer cannot be read');
  if (secret === '') return undefined;
  return username === '<token>'
    ? { kind: 'identity', token: secret }
    : { kind: 'password', username, password: secret };
}

/** The parser's own message would quote what it read. */
function parse(output: string): { readonly Username?: unknown; readonly Secret?: unknown } {
  try {
    return (JSON.parse(output) ?? {}) as object;
  } catch {
    throw new Error('its answer cannot be read');
  }
}

import type { EngineClient } from '../client/engineClient.ts';
import { CoppiceError } from '../protocol/errors.ts';
import type { RuntimeName } from '../protocol/schemas/common.ts';
import type { Context, Options } from './command.ts';
import { UsageError } from './usageError.ts';

const RUNTIMES: readonly RuntimeName[] = ['native', 'docker'];

export const runtimeOption = {
  runtime: { value: 'RUNTIME', help: 'Where it goes: native or docker', completes: RUNTIMES },
} as const satisfies Options;

export const dockerHostOption = {
  'docker-host': { value: 'URL', help: 'Where Docker is, as for DOCKER_HOST, for an engine that this starts' },
} as const satisfies Options;

export function chosenRuntime(command: string, text: string | undefined): RuntimeName | undefined {
  if (text === undefined) return undefined;
  const runtime = RUNTIMES.find(name => name === text);
  if (!runtime) throw new UsageError(`--runtime is one of ${RUNTIMES.join(', ')}`, command);
  return runtime;
}

/** An engine asks one daemon as long as it lives: one that has another already says so, rather than using that. */
export async function connectWith(context: Context, dockerHost: string | undefined): Promise<EngineClient> {
  if (dockerHost === undefined) return context.connect();
  const client = await context.connect({ COPPICE_DOCKER_HOST: dockerHost });
  const theirs = client.engine.docker_host ?? null;
  if (theirs === dockerHost) return client;
  throw new CoppiceError(
    'engine_busy',
    `the engine (pid ${client.engine.pid}) ${theirs === null ? 'looks for Docker at its usual places' : `asks Docker at ${theirs}`}, not at ${dockerHost}`,
    { fix: 'Stop it first: coppice engine stop. COPPICE_DOCKER_HOST says it for all commands.' },
  );
}

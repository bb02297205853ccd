import { availableParallelism } from 'node:os';
import { CoppiceError } from '../protocol/errors.ts';
import { type RuntimeName, runtimeName } from '../protocol/schemas/common.ts';

export interface EngineSettings {
  /** Operations at once. */
  readonly concurrency: number;
  /** Without clients and work for so long, the engine stops. */
  readonly idleStopSeconds: number;
  readonly defaultImage: string | undefined;
  /** Where new images go; `auto`: native where that works, else docker. */
  readonly runtime: RuntimeName | 'auto';
  /** Where the docker runtime's daemon is; undefined: where docker's own command line finds it. */
  readonly dockerHost: string | undefined;
  /** Bytes kept of each output stream. */
  readonly outputCap: number | undefined;
  /** Living sandboxes at once. */
  readonly maxSandboxes: number;
  /** For what follows other tools' conventions: proxies, Docker's and Podman's configuration, credential helpers. */
  readonly environment: NodeJS.ProcessEnv;
}

/** From the environment of whoever starts the engine. */
export function readSettings(env: NodeJS.ProcessEnv): EngineSettings {
  return {
    concurrency: whole(env, 'COPPICE_CONCURRENCY', 1) ?? Math.max(8, availableParallelism() * 2),
    idleStopSeconds: whole(env, 'COPPICE_IDLE_STOP', 1) ?? 600,
    defaultImage: env.COPPICE_IMAGE || undefined,
    runtime: runtimeSetting(env.COPPICE_RUNTIME),
    dockerHost: env.COPPICE_DOCKER_HOST || undefined,
    outputCap: whole(env, 'COPPICE_OUTPUT_CAP', 1024),
    maxSandboxes: whole(env, 'COPPICE_MAX_SANDBOXES', 1) ?? 256,
    environment: env,
  };
}

function runtimeSetting(text = ''): EngineSettings['runtime'] {
  if (text === '' || text === 'auto') return 'auto';
  const name = runtimeName.safeParse(text);
  if (name.success) return name.data;
  throw new CoppiceError('invalid_input', `COPPICE_RUNTIME must be auto, native or docker, not ${text}`, {
    field: 'COPPICE_RUNTIME',
  });
}

function whole(env: NodeJS.ProcessEnv, name: string, least: number): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new CoppiceError('invalid_input', `${name} must be a whole number of at least ${least}, not ${text}`, {
      field: name,
    });
  return value;
}

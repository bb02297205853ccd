import { availableParallelism } from 'node:os';
import { CoppiceError } from '../protocol/errors.ts';

export interface EngineSettings {
  /** Operations at once. */
  readonly concurrency: number;
  /** Without clients and work for so long, the engine stops. */
  readonly idleStopSeconds: number;
  readonly defaultImage: string | undefined;
  /** Bytes kept of each output stream. */
  readonly outputCap: number | undefined;
  /** Living sandboxes at once. */
  readonly maxSandboxes: number;
}

/** From the environment of whoever starts the engine. */
export function readSettings(env: NodeJS.ProcessEnv): EngineSettings {
  return {
    concurrency: whole(env, 'COPPICE_CONCURRENCY', 1) ?? Math.max(8, availableParallelism() * 2),
    idleStopSeconds: whole(env, 'COPPICE_IDLE_STOP', 1) ?? 600,
    defaultImage: env.COPPICE_IMAGE || undefined,
    outputCap: whole(env, 'COPPICE_OUTPUT_CAP', 1024),
    maxSandboxes: whole(env, 'COPPICE_MAX_SANDBOXES', 1) ?? 256,
  };
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

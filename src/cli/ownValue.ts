import { UsageError } from './usageError.ts';

/** `NAME` alone is `NAME` with the value that the user's own environment has. */
export function withOwnValue(option: string, pair: string, env: NodeJS.ProcessEnv): string {
  if (pair.includes('=')) return pair;
  const value = env[pair];
  if (value === undefined) throw new UsageError(`--${option} ${pair}: your environment has no such variable`);
  return `${pair}=${value}`;
}

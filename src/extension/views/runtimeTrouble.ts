import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineConnection } from '../engineConnection.ts';

/** Throws the cause and the cure when no runtime works here: an empty tree that invites to import would not help. */
export async function refuseWithoutRuntime(connection: EngineConnection): Promise<void> {
  const { runtimes } = await connection.call('doctor', {});
  const [first] = runtimes;
  if (runtimes.some(runtime => runtime.available) || !first) return;
  throw new CoppiceError(
    'runtime_unavailable',
    `nothing can run here yet: ${first.reason ?? `the ${first.name} runtime is not available`}`,
    first.fix === null ? {} : { fix: first.fix },
  );
}

import { CoppiceError } from '../protocol/errors.ts';
import type { VerbName } from '../protocol/verbs.ts';
import type { Fence } from './fence.ts';
import { withHostPaths } from './hostPaths.ts';

export interface AgentLimits {
  readonly fence: Fence;
  readonly allowHostNetwork: boolean;
  /** What a person does to let agents share the machine's network. */
  readonly howToAllowNetwork: string;
}

/** Where `apply` would write; the engine knows, and nothing is written. */
type ApplyPreview = (input: Readonly<Record<string, unknown>>) => Promise<{ readonly to: string }>;

/** What an agent asked for, with every place of this machine absolute and inside the fence, or an error that says how to allow it. */
export async function fencedInput(
  verb: VerbName,
  given: Readonly<Record<string, unknown>>,
  { fence, allowHostNetwork, howToAllowNetwork }: AgentLimits,
  preview: ApplyPreview,
): Promise<Record<string, unknown>> {
  // Sharing the machine's network reaches its loopback services.
  if (given.network === 'host' && !allowHostNetwork) {
    throw new CoppiceError('fenced', 'network: agents may not share this machine’s network', {
      field: 'network',
      fix: `Use nat or none. ${howToAllowNetwork}`,
    });
  }
  const input = withHostPaths(verb, given, fence);
  // Only the engine knows the Dockerfile that is really built.
  if (verb === 'build') input.confined = allowHostNetwork ? undefined : howToAllowNetwork;
  if (verb !== 'apply' || input.to !== undefined) return input;
  const { to } = await preview({ ...input, dry_run: true });
  return { ...input, to: fence.inside('to', to) };
}

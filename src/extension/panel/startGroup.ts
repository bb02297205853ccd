import type { Setup } from '../../../webview/protocol.ts';
import type { VerbCaller } from '../../client/engineClient.ts';
import type { VerbInput } from '../../protocol/verbs.ts';
import { expandMatrix } from './expandMatrix.ts';

/** What a set-up needs of the workspace it is started in. */
export interface StartPlace {
  /** Folder whose checked-out branch gives the default image. */
  readonly workspace: string | undefined;
  /** `coppice.image`; empty: none. */
  readonly image: string;
  readonly state: { readonly id: string; readonly destination: string } | undefined;
}

/** Programs write to a pipe here, and hold their output back unless they are told. */
const LIVE = { PYTHONUNBUFFERED: '1' };

/** Starts every run of the set-up in one group. They are the engine's then: the window may close. */
export async function startGroup(
  caller: VerbCaller,
  group: string,
  setup: Setup,
  place: StartPlace,
  started: (count: number, of: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { runs } = expandMatrix(setup);
  const image = await imageOf(caller, setup.image || place.image, place.workspace);
  // One after the other, so that the engine's order is the preview's.
  for (const [index, run] of runs.entries()) {
    signal.throwIfAborted();
    await caller.call('run', {
      command: run.command,
      env: { ...LIVE, ...run.env },
      labels: { ...run.labels },
      group: { id: group, concurrency: setup.concurrency },
      timeout: setup.timeout,
      disposable: !setup.keep,
      network: setup.network,
      wait: false,
      ...limitsOf(setup),
      ...(image === undefined ? {} : { image }),
      ...(place.state === undefined ? {} : { directory_state_id: place.state.id, cwd: place.state.destination }),
    });
    await started(index + 1, runs.length);
  }
}

function limitsOf({ cpus, memory, pids }: Setup): Pick<VerbInput<'run'>, 'limits'> {
  const limits = {
    ...(cpus === null ? {} : { cpus }),
    ...(memory.trim() === '' ? {} : { memory: memory.trim() }),
    ...(pids === null ? {} : { pids }),
  };
  return Object.keys(limits).length === 0 ? {} : { limits };
}

/**
 * By its UUID: all runs start from the same image, and none of them moves a branch, which only the chosen winner shall do.
 * Undefined: the engine's default.
 */
async function imageOf(
  caller: VerbCaller,
  reference: string,
  workspace: string | undefined,
): Promise<string | undefined> {
  if (reference === 'host:') return reference;
  if (reference !== '') return (await caller.call('get_image', { image: reference })).uuid;
  if (workspace === undefined) return undefined;
  const { branches, checked_out } = await caller.call('branches', { workspace });
  return branches.find(({ name }) => name === checked_out)?.head;
}

import type { BranchView } from './schemas/branches.ts';
import type { ImageView } from './schemas/images.ts';
import type { OperationView } from './schemas/operations.ts';
import type { SandboxView } from './schemas/sandboxes.ts';
import type { StateView } from './schemas/states.ts';

export type StreamName = 'stdout' | 'stderr';

/** What the engine tells subscribers. Views are complete snapshots, never deltas. */
export type EngineEvent =
  | { readonly topic: 'image'; readonly change: 'added' | 'changed' | 'removed'; readonly image: ImageView }
  | { readonly topic: 'operation'; readonly operation: OperationView }
  | { readonly topic: 'branch'; readonly change: 'changed' | 'removed'; readonly branch: BranchView }
  | { readonly topic: 'sandbox'; readonly sandbox: SandboxView }
  | { readonly topic: 'directory_state'; readonly state: StateView }
  | OutputEvent
  /** The subscriber was too slow and missed events: it must ask for what it shows again. */
  | { readonly topic: 'lagged' };

/** A piece of a process's output. A gap between `offset` and what came before means: read the rest by `read_output`. */
export interface OutputEvent {
  readonly topic: 'output';
  /** The operation, or for exec'd processes in a sandbox the process id. */
  readonly source: string;
  readonly stream: StreamName;
  readonly offset: number;
  /** base64, so that bytes stay bytes. */
  readonly data: string;
}

export type Topic = EngineEvent['topic'];

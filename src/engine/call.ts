import type { ClientKind, Progress } from '../protocol/rpc.ts';
import type { VerbName, VerbRequest, VerbResult } from '../protocol/verbs.ts';

/** What a verb's handler knows of the one who asked. */
export interface Call {
  /** Aborted when the caller cancels or its connection closes. */
  readonly signal: AbortSignal;
  readonly client: { readonly id: string; readonly kind: ClientKind };
  progress(progress: Omit<Progress, 'progress'>): void;
}

export type Handler<V extends VerbName> = (request: VerbRequest<V>, call: Call) => Promise<VerbResult<V>>;
export type Handlers = { readonly [V in VerbName]: Handler<V> };

import type { VerbName, VerbResult } from '../protocol/verbs.ts';

/** What a surface may tell its user about a verb before it is called. */
export interface VerbAnnotations {
  /** Changes nothing. */
  readonly readOnly: boolean;
  /** May remove or overwrite something that was there before. */
  readonly destructive: boolean;
  /** Called twice with the same input it changes nothing more. */
  readonly idempotent: boolean;
  /** Reaches beyond Coppice: a network, a registry, files of this machine. */
  readonly openWorld: boolean;
}

/** A verb as people and agents meet it; its schemas are in `src/protocol/verbs.ts`. */
export interface Verb<V extends VerbName> {
  readonly title: string;
  /** Teaches: when to use it, what it does unless told otherwise, the common mistake. */
  readonly description: string;
  readonly annotations: VerbAnnotations;
  /** Part of the seeds' set, which agents get unless they ask for all. */
  readonly core: boolean;
  /** Short text: ids first; what was cut says how to read on. */
  readonly render: (result: VerbResult<V>) => string;
}

/** All verbs of a group; a verb that is missing does not compile. */
export type Verbs<V extends VerbName> = { readonly [Name in V]: Verb<Name> };

export const READS: VerbAnnotations = { readOnly: true, destructive: false, idempotent: true, openWorld: false };
export const ADDS: VerbAnnotations = { readOnly: false, destructive: false, idempotent: false, openWorld: false };
export const SETS: VerbAnnotations = { readOnly: false, destructive: false, idempotent: true, openWorld: false };
export const REMOVES: VerbAnnotations = { readOnly: false, destructive: true, idempotent: true, openWorld: false };

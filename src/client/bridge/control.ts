import type { JobName, JobOutcome, JobParams } from '../jobs/jobs.ts';
import type { EngineLocation } from '../startEngine.ts';

/** What the two threads share: numbers in shared memory, and messages. */

/** Raised after every message to the caller; the caller waits for it to change. */
export const SEQ = 0;
/** Raised ten times a second while the bridge works; when it stands still, the bridge is dead. */
export const BEAT = 1;
/** 1: the bridge failed and answers nothing any more. */
export const DEAD = 2;
export const WORDS = 3;

export const BEAT_MS = 100;

export interface BridgeData {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly port: import('node:worker_threads').MessagePort;
  readonly location: EngineLocation;
}

export type ToBridge =
  | { readonly id: number; readonly job: JobName; readonly params: JobParams<JobName> }
  | { readonly cancel: number };
export interface FromBridge {
  readonly id: number;
  readonly outcome: JobOutcome;
}

import type { WireError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { ProcessView, SandboxView } from '../../protocol/schemas/sandboxes.ts';
import type { VerbInput, VerbName } from '../../protocol/verbs.ts';

/** Bytes from a place on. `eof`: nothing comes after them. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly eof: boolean;
}

/** What is asked of the one who speaks with the engine: plain data, because it may be in another thread. */
export interface Jobs {
  readonly verb: {
    readonly params: { readonly verb: VerbName; readonly input: unknown; readonly sandbox: string | undefined };
    readonly result: unknown;
  };
  /** A sandbox with an id that the caller minted. */
  readonly create: {
    readonly params: VerbInput<'create_sandbox'> & { readonly sandbox_id: string };
    readonly result: SandboxView;
  };
  readonly exec: {
    readonly params: {
      readonly input: VerbInput<'exec'> & { readonly process_id: string };
      /** All of its input; undefined: none, or it is written piece by piece. */
      readonly stdin: Uint8Array | undefined;
    };
    readonly result: {
      readonly view: ProcessView;
      readonly stdout: Uint8Array;
      readonly stderr: Uint8Array;
      readonly truncated: boolean;
    };
  };
  /** Waits for output from `offset` on. */
  readonly output: {
    readonly params: { readonly process: string; readonly stream: StreamName; readonly offset: number };
    readonly result: Piece;
  };
  /** What a main process wrote; waits for more only when `follow`. */
  readonly logs: {
    readonly params: { readonly process: string; readonly at: LogPosition; readonly follow: boolean };
    readonly result: {
      readonly stdout: Uint8Array;
      readonly stderr: Uint8Array;
      readonly at: LogPosition;
      readonly eof: boolean;
    };
  };
  readonly stdin: {
    readonly params: { readonly process: string; readonly bytes: Uint8Array; readonly close: boolean };
    readonly result: null;
  };
  readonly readFile: {
    readonly params: { readonly sandbox: string; readonly path: string };
    readonly result: Uint8Array;
  };
  readonly readPiece: {
    readonly params: { readonly sandbox: string; readonly path: string; readonly offset: number };
    readonly result: Piece;
  };
  readonly writeFile: {
    readonly params: {
      readonly sandbox: string;
      readonly path: string;
      readonly bytes: Uint8Array;
      readonly mode: number | undefined;
      readonly append: boolean;
    };
    readonly result: null;
  };
  /** Runs a program of JavaScript in a sandbox of its own and answers what it leaves. */
  readonly remote: {
    readonly params: {
      readonly sandbox: Jobs['create']['params'];
      readonly source: string;
      readonly args: Uint8Array;
      readonly timeoutMs: number;
    };
    readonly result: Uint8Array;
  };
  /** The program ends: what it leased is stopped. */
  readonly leave: { readonly params: { readonly sandboxes: readonly string[] }; readonly result: null };
}

export type LogPosition = { readonly stdout: number; readonly stderr: number } | { readonly tail: number };
export type JobName = keyof Jobs;
export type JobParams<J extends JobName> = Jobs[J]['params'];
export type JobResult<J extends JobName> = Jobs[J]['result'];

export type JobOutcome<J extends JobName = JobName> = { readonly value: JobResult<J> } | { readonly error: WireError };

import { NotificationType, RequestType } from 'vscode-jsonrpc';
import type { EngineEvent, Topic } from './events.ts';

/** Raised when client and engine can no longer understand each other. */
export const PROTOCOL_VERSION = 1;

export type ClientKind = 'cli' | 'mcp' | 'vscode' | 'sdk' | 'test';

export interface Hello {
  readonly protocol: number;
  readonly version: string;
  readonly client: ClientKind;
  readonly pid: number;
}

export interface EngineInfo {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
  readonly home: string;
  readonly started_at: string;
  readonly clients: number;
  readonly running: number;
  readonly queued: number;
  readonly sandboxes: number;
  readonly memory_bytes: number;
  readonly idle_stop_seconds: number;
  /** Where it was told that Docker is; null: it looks for it. An older engine does not say. */
  readonly docker_host?: string | null;
}

export interface CallParams {
  readonly verb: string;
  readonly input: unknown;
  /** Names the call in `progress` notifications. */
  readonly progress?: number;
}

export interface Progress {
  readonly progress: number;
  readonly message: string;
  readonly done?: number;
  readonly total?: number;
  /** Said once, at the start: the operation that the call waits for, so that it can be followed. */
  readonly operation_id?: string;
}

export interface SubscribeParams {
  /** Chosen by the client, so that no event is lost between request and answer. */
  readonly subscription: number;
  readonly topics: readonly Topic[];
  /** Narrow `operation` and `output` to these; `output` without sources sends nothing. */
  readonly sources?: readonly string[];
}

export const helloRequest = new RequestType<Hello, EngineInfo, never>('hello');
export const callRequest = new RequestType<CallParams, unknown, unknown>('call');
export const subscribeRequest = new RequestType<SubscribeParams, null, never>('subscribe');
export const unsubscribeRequest = new RequestType<{ readonly subscription: number }, null, never>('unsubscribe');
export const statusRequest = new RequestType<null, EngineInfo, never>('engine/status');
export const stopRequest = new RequestType<
  { readonly force: boolean },
  { readonly stopping: boolean; readonly busy: number },
  never
>('engine/stop');
export const progressNotification = new NotificationType<Progress>('progress');
export const eventNotification = new NotificationType<{ readonly subscription: number; readonly event: EngineEvent }>(
  'event',
);

/** JSON-RPC error code under which a `WireError` travels in `data`. */
export const COPPICE_ERROR = -32050;

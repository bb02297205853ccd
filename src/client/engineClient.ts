import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CancellationTokenSource,
  ConnectionError,
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ResponseError,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import { CoppiceError, type WireError } from '../protocol/errors.ts';
import type { EngineEvent, Topic } from '../protocol/events.ts';
import {
  type ClientKind,
  COPPICE_ERROR,
  callRequest,
  type EngineInfo,
  eventNotification,
  helloRequest,
  PROTOCOL_VERSION,
  type Progress,
  progressNotification,
  statusRequest,
  stopRequest,
  subscribeRequest,
  unsubscribeRequest,
} from '../protocol/rpc.ts';
import type { VerbInput, VerbName, VerbResult } from '../protocol/verbs.ts';
import { VERSION } from '../protocol/version.ts';
import { type EngineLocation, reachEngine } from './startEngine.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** Anything that can be asked for verbs: the live connection, or one that reconnects. */
export interface VerbCaller {
  call<V extends VerbName>(verb: V, input: VerbInput<V>, options?: CallOptions): Promise<VerbResult<V>>;
}

/** How often a connection may end before the engine's first word until that is an error. */
const GREETINGS = 10;
/** An engine that runs greets at once; one that is stopped or hangs never does. */
const GREETING_MS = 8_000;

/** One connection to the engine. When it closes, every pending call rejects with `engine_died`. */
export class EngineClient implements VerbCaller {
  readonly engine: EngineInfo;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  readonly #connection: MessageConnection;
  readonly #socket: Socket;
  readonly #listeners = new Map<number, (event: EngineEvent) => void>();
  readonly #progress = new Map<number, (progress: Progress) => void>();
  /** Calls that wait for their answer, to be told when none can come any more. */
  readonly #waiting = new Set<(reason: unknown) => void>();
  #counter = 0;
  #alive = true;

  private constructor(connection: MessageConnection, socket: Socket, engine: EngineInfo, closed: Promise<void>) {
    this.#connection = connection;
    this.#socket = socket;
    this.engine = engine;
    this.closed = closed.then(() => {
      this.#alive = false;
      for (const reject of this.#waiting) reject(engineDied());
    });
    connection.onNotification(eventNotification, ({ subscription, event }) =>
      this.#listeners.get(subscription)?.(event),
    );
    connection.onNotification(progressNotification, progress => this.#progress.get(progress.progress)?.(progress));
  }

  static async connect(location: EngineLocation, client: ClientKind, signal?: AbortSignal): Promise<EngineClient> {
    const reach = () => EngineClient.#reach(location, client, signal);
    const attempt = await reach();
    return attempt.engine.version === VERSION ? attempt : replaceOlderEngine(attempt, reach);
  }

  /** An engine that was just about to stop takes a connection and is gone before it greets: then there is a next one. */
  static async #reach(location: EngineLocation, client: ClientKind, signal?: AbortSignal): Promise<EngineClient> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await EngineClient.#open(await reachEngine(location, signal), client);
      } catch (error) {
        const justGone = error instanceof CoppiceError && error.code === 'engine_died';
        if (!justGone || attempt === GREETINGS) throw error;
        await sleep(20 * attempt);
      }
    }
  }

  static async #open(socket: Socket, client: ClientKind): Promise<EngineClient> {
    const reader = new SocketMessageReader(socket);
    reader.partialMessageTimeout = 0; // Its timer would outlive an engine that dies in the middle of a message.
    const connection = createMessageConnection(reader, new SocketMessageWriter(socket));
    const closed = new Promise<void>(resolve => connection.onClose(resolve));
    connection.onError(() => socket.destroy());
    connection.listen();
    try {
      const greeting = connection.sendRequest(helloRequest, {
        protocol: PROTOCOL_VERSION,
        version: VERSION,
        client,
        pid: process.pid,
      });
      const silence = withinOrNever(GREETING_MS, noGreeting);
      const gone = closed.then(() => Promise.reject(engineDied()));
      const engine = await Promise.race([greeting, gone, silence.promise])
        .catch(error => {
          throw asCoppiceError(error);
        })
        .finally(silence.stop);
      return new EngineClient(connection, socket, engine, closed);
    } catch (error) {
      socket.destroy();
      throw asCoppiceError(error);
    }
  }

  async call<V extends VerbName>(verb: V, input: VerbInput<V>, options: CallOptions = {}): Promise<VerbResult<V>> {
    return (await this.callByName(verb, input, options)) as VerbResult<V>;
  }

  /** For surfaces that got the verb's name from outside; the engine validates both. */
  async callByName(verb: string, input: unknown, options: CallOptions = {}): Promise<unknown> {
    options.signal?.throwIfAborted();
    const progress = ++this.#counter;
    const source = new CancellationTokenSource();
    const cancel = () => source.cancel();
    options.signal?.addEventListener('abort', cancel, { once: true });
    if (options.onProgress) this.#progress.set(progress, options.onProgress);
    try {
      return await this.#request(() =>
        this.#connection.sendRequest(
          callRequest,
          { verb, input, ...(options.onProgress ? { progress } : {}) },
          source.token,
        ),
      );
    } finally {
      this.#progress.delete(progress);
      options.signal?.removeEventListener('abort', cancel);
      source.dispose();
    }
  }

  /** Calls `listener` with every event of these topics until the returned function is called. */
  async subscribe(
    topics: readonly Topic[],
    listener: (event: EngineEvent) => void,
    sources?: readonly string[],
  ): Promise<() => Promise<void>> {
    const subscription = ++this.#counter;
    this.#listeners.set(subscription, listener);
    try {
      await this.#request(() =>
        this.#connection.sendRequest(subscribeRequest, { subscription, topics, ...(sources ? { sources } : {}) }),
      );
    } catch (error) {
      this.#listeners.delete(subscription);
      throw error;
    }
    return async () => {
      this.#listeners.delete(subscription);
      if (this.#alive) await this.#request(() => this.#connection.sendRequest(unsubscribeRequest, { subscription }));
    };
  }

  status(): Promise<EngineInfo> {
    return this.#request(() => this.#connection.sendRequest(statusRequest, null));
  }

  async stopEngine(force: boolean): Promise<{ readonly stopping: boolean; readonly busy: number }> {
    if (!this.#alive) throw engineDied();
    try {
      return await this.#request(() => this.#connection.sendRequest(stopRequest, { force }));
    } catch (error) {
      // On a machine that is busy it may be gone before its answer went out: that is what was asked for.
      if (error instanceof CoppiceError && error.code === 'engine_died') return { stopping: true, busy: 0 };
      throw error;
    }
  }

  close(): void {
    this.#connection.end();
    this.#socket.destroy();
  }

  /** A script that only waits for nothing may end although the connection is open. */
  unref(): void {
    this.#socket.unref();
  }
  ref(): void {
    this.#socket.ref();
  }

  /** Not a race with `closed`: each call would hang on that promise for as long as the connection lives. */
  async #request<T>(send: () => Promise<T>): Promise<T> {
    if (!this.#alive) throw engineDied();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.add(reject);
    try {
      send().then(resolve, reject);
      return await promise;
    } catch (error) {
      throw asCoppiceError(error);
    } finally {
      this.#waiting.delete(reject);
    }
  }
}

async function replaceOlderEngine(attempt: EngineClient, again: () => Promise<EngineClient>): Promise<EngineClient> {
  const { engine } = attempt;
  if (isNewer(VERSION, engine.version) && engine.running + engine.queued + engine.sandboxes === 0) {
    const { stopping } = await attempt.stopEngine(false);
    if (stopping) {
      await attempt.closed;
      return again();
    }
  }
  if (engine.protocol === PROTOCOL_VERSION) return attempt;
  attempt.close();
  throw isNewer(VERSION, engine.version) ? olderAndBusy(engine) : newerEngine(engine);
}

function olderAndBusy(engine: EngineInfo): CoppiceError {
  return new CoppiceError(
    'version_mismatch',
    `engine ${engine.version} (pid ${engine.pid}) is busy and does not understand version ${VERSION}`,
    {
      fix: 'Wait until its operations are done, or stop it: coppice engine stop --force.',
      data: { pid: engine.pid, version: engine.version, running: engine.running },
    },
  );
}

function newerEngine(engine: EngineInfo): CoppiceError {
  return new CoppiceError(
    'version_mismatch',
    `engine ${engine.version} (pid ${engine.pid}) is newer than this version, ${VERSION}, and does not understand it`,
    { fix: 'Update Coppice here too.', data: { pid: engine.pid, version: engine.version } },
  );
}

function isNewer(a: string, b: string): boolean {
  return a.localeCompare(b, 'en', { numeric: true }) > 0;
}

function withinOrNever(milliseconds: number, failure: () => Error): { promise: Promise<never>; stop: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(failure()), milliseconds);
  return { promise, stop: () => clearTimeout(timer) };
}

function noGreeting(): CoppiceError {
  return new CoppiceError('engine_unreachable', `the engine does not answer: nothing for ${GREETING_MS / 1000} s`, {
    fix: 'See coppice engine log; a stopped engine goes on after kill -CONT, else end it and try again.',
  });
}

function engineDied(): CoppiceError {
  return new CoppiceError('engine_died', 'the engine ended during this call', {
    fix: 'Run the command again; a new engine starts by itself. See coppice engine log.',
  });
}

/** Whatever the connection itself complains of means that the engine is not there any more. */
function asCoppiceError(error: unknown): unknown {
  if (error instanceof ResponseError && error.code === COPPICE_ERROR) return CoppiceError.from(error.data as WireError);
  return isLostConnection(error) ? engineDied() : error;
}

/** Writing may fail a moment before the end is told. */
function isLostConnection(error: unknown): boolean {
  const codes: readonly number[] = [
    ErrorCodes.MessageWriteError,
    ErrorCodes.PendingResponseRejected,
    ErrorCodes.ConnectionInactive,
  ];
  if (error instanceof ConnectionError) return true;
  return error instanceof ResponseError && codes.includes(error.code);
}

import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import path from 'node:path';
import {
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import { refuseForeignFolder } from '../protocol/endpoint.ts';
import { toWireError } from '../protocol/errors.ts';
import type { EngineEvent, Topic } from '../protocol/events.ts';
import {
  type ClientKind,
  COPPICE_ERROR,
  callRequest,
  type EngineInfo,
  eventNotification,
  helloRequest,
  progressNotification,
  statusRequest,
  stopRequest,
  subscribeRequest,
  unsubscribeRequest,
} from '../protocol/rpc.ts';
import type { Call } from './call.ts';
import type { EventBus } from './eventBus.ts';
import type { Log } from './log.ts';
import type { OutputFeed } from './operations/outputFeed.ts';

/** Bytes on their way to a client that does not read; beyond it events are dropped and it is told that it lagged. */
const EVENT_BACKLOG = 1_048_576;

export interface ServerParts {
  readonly address: string;
  readonly events: EventBus;
  readonly feed: OutputFeed;
  readonly log: Log;
  readonly info: () => EngineInfo;
  readonly dispatch: (verb: string, input: unknown, call: Call) => Promise<unknown>;
  /** Answers whether the engine will stop: it does not while it is busy, unless forced. */
  readonly stop: (force: boolean) => { readonly stopping: boolean; readonly busy: number };
  /** Called when a client came or went. */
  readonly onClients: (count: number) => void;
  readonly onGone: (clientId: string) => void;
}

/** The private socket: one connection a client, each with its calls and subscriptions. */
export class Server {
  readonly #parts: ServerParts;
  readonly #server: NetServer;
  readonly #connections = new Set<Connection>();
  #counter = 0;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#server = createServer(socket => this.#accept(socket));
  }

  /** The single-instance lock is held, so whatever lies at the address is stale. */
  async listen(): Promise<void> {
    const { address } = this.#parts;
    if (process.platform !== 'win32') {
      mkdirSync(path.dirname(address), { recursive: true, mode: 0o700 });
      refuseForeignFolder(address);
      chmodSync(path.dirname(address), 0o700);
      rmSync(address, { force: true });
    }
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    if (process.platform !== 'win32') chmodSync(address, 0o600);
  }

  get clients(): number {
    return this.#connections.size;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(`client-${++this.#counter}`, socket, this.#parts, () => {
      this.#connections.delete(connection);
      this.#parts.onGone(connection.id);
      this.#parts.onClients(this.#connections.size);
    });
    this.#connections.add(connection);
    this.#parts.onClients(this.#connections.size);
  }

  /** Calls that are not answered yet. */
  get calls(): number {
    let count = 0;
    for (const connection of this.#connections) count += connection.calls;
    return count;
  }

  /** Node deletes a socket that it closes by its name: where that is another engine's by now, only the connections are closed. */
  async close(isOurs = true): Promise<void> {
    const closed = isOurs && new Promise<void>(resolve => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.close();
    await closed;
  }
}

class Connection {
  readonly id: string;
  readonly #socket: Socket;
  readonly #rpc: MessageConnection;
  readonly #parts: ServerParts;
  readonly #calls = new Set<AbortController>();
  readonly #subscriptions = new Map<number, () => void>();
  #kind: ClientKind = 'test';
  #closed = false;
  #backlog = 0;
  /** Subscriptions that missed events since the backlog grew too long. */
  readonly #lagging = new Set<number>();

  constructor(id: string, socket: Socket, parts: ServerParts, onClose: () => void) {
    this.id = id;
    this.#socket = socket;
    this.#parts = parts;
    const reader = new SocketMessageReader(socket);
    reader.partialMessageTimeout = 0; // Its timer would outlive a client that dies in the middle of a message.
    this.#rpc = createMessageConnection(reader, new SocketMessageWriter(socket));
    this.#rpc.onError(([error]) => {
      parts.log.info(`${id}: ${error.message}`);
      socket.destroy();
    });
    this.#rpc.onClose(() => {
      this.#closed = true;
      for (const stop of this.#subscriptions.values()) stop();
      for (const call of this.#calls) call.abort();
      onClose();
    });
    this.#serve();
    this.#rpc.listen();
  }

  get calls(): number {
    return this.#calls.size;
  }

  #serve(): void {
    const { info, stop } = this.#parts;
    this.#rpc.onRequest(helloRequest, hello => {
      this.#kind = hello.client;
      return info();
    });
    this.#rpc.onRequest(statusRequest, () => info());
    this.#rpc.onRequest(stopRequest, ({ force }) => stop(force));
    this.#rpc.onRequest(callRequest, async (params, token) => {
      const controller = new AbortController();
      // What a client asked just before it went still arrives; nothing may begin for it any more.
      if (this.#closed) controller.abort();
      token.onCancellationRequested(() => controller.abort());
      this.#calls.add(controller);
      try {
        return await this.#parts.dispatch(params.verb, params.input, this.#call(controller.signal, params.progress));
      } catch (error) {
        return this.#failure(params.verb, error);
      } finally {
        this.#calls.delete(controller);
      }
    });
    this.#rpc.onRequest(subscribeRequest, ({ subscription, topics, sources }) => {
      if (this.#closed) return null;
      this.#subscriptions.get(subscription)?.();
      this.#subscriptions.set(
        subscription,
        this.#subscribe(subscription, new Set(topics), sources && new Set(sources)),
      );
      return null;
    });
    this.#rpc.onRequest(unsubscribeRequest, ({ subscription }) => {
      this.#subscriptions.get(subscription)?.();
      this.#subscriptions.delete(subscription);
      return null;
    });
  }

  #call(signal: AbortSignal, progress: number | undefined): Call {
    return {
      signal,
      client: { id: this.id, kind: this.#kind },
      progress: update => {
        if (progress !== undefined && this.#ready())
          this.#send(
            size => this.#rpc.sendNotification(progressNotification, { progress, ...update }).finally(size),
            256,
          );
      },
    };
  }

  #failure(verb: string, error: unknown): ResponseError<unknown> {
    const wire = toWireError(error);
    if (wire.code === 'internal') this.#parts.log.error(`${verb} failed`, error);
    return new ResponseError(COPPICE_ERROR, wire.message, wire);
  }

  #subscribe(subscription: number, topics: ReadonlySet<Topic>, sources: ReadonlySet<string> | undefined): () => void {
    const send = (event: EngineEvent) => this.#event(subscription, event);
    const stops = [
      this.#parts.events.listen(event => {
        if (!topics.has(event.topic)) return;
        if (event.topic === 'operation' && sources && !sources.has(event.operation.operation_id)) return;
        send(event);
      }),
    ];
    if (topics.has('output')) {
      for (const source of sources ?? [])
        stops.push(this.#parts.feed.follow(source, { ready: () => this.#ready(), send }));
    }
    return () => {
      this.#lagging.delete(subscription);
      for (const stop of stops) stop();
    };
  }

  /** Work outlives the connection it was asked for on; what it has to say then goes nowhere. */
  #ready(): boolean {
    return !this.#closed && this.#backlog < EVENT_BACKLOG;
  }

  #event(subscription: number, event: EngineEvent): void {
    if (this.#closed) return;
    if (!this.#ready()) {
      this.#lagging.add(subscription);
      return;
    }
    const size = event.topic === 'output' ? event.data.length + 200 : JSON.stringify(event).length;
    this.#send(done => this.#rpc.sendNotification(eventNotification, { subscription, event }).finally(done), size);
  }

  #send(write: (done: () => void) => Promise<void>, size: number): void {
    this.#backlog += size;
    write(() => {
      this.#backlog -= size;
      if (this.#backlog === 0) this.#tellLagging();
    }).catch(() => this.#socket.destroy()); // Writing fails only when the client is gone.
  }

  #tellLagging(): void {
    const lagging = [...this.#lagging];
    this.#lagging.clear();
    for (const subscription of lagging) this.#event(subscription, { topic: 'lagged' });
  }

  close(): void {
    this.#rpc.end();
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 200).unref();
  }
}

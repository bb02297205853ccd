import { createInterface } from 'node:readline';
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  type RequestType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { CoppiceError, type WireError } from '../../protocol/errors.ts';
import { COPPICE_ERROR } from '../../protocol/rpc.ts';
import * as api from './hostApi.ts';
import type { HostProcess } from './namespace.ts';

export type ExitMessage = { readonly exit: import('../runtime.ts').ProcessExit } | { readonly error: WireError };

/** It takes a fraction of a second, on a machine that has something else to do a few. */
const readyMs = 60_000;

/** What the host tells about one process. */
export interface ProcessListener {
  output(stdout: number, stderr: number): void;
  exit(message: ExitMessage): void;
  /** The host is gone, and the process with it. */
  lost(error: CoppiceError): void;
}

/** A living namespace host and the conversation with it. */
export class HostConnection {
  readonly #host: HostProcess;
  readonly #connection: MessageConnection;
  readonly #listeners = new Map<string, ProcessListener>();
  readonly #progress = new Map<string, (message: string, done?: number, total?: number) => void>();
  readonly ready: Promise<void>;
  /** Resolves when the host and everything in it is gone. */
  readonly gone: Promise<void>;
  #lost: CoppiceError | undefined;

  constructor(host: HostProcess, log: (line: string) => void) {
    this.#host = host;
    const complaints: string[] = [];
    createInterface({ input: host.stderr }).on('line', line => {
      complaints.push(line);
      if (complaints.length > 20) complaints.shift();
      log(`native host: ${line}`);
    });
    this.#connection = createMessageConnection(
      new StreamMessageReader(host.stdout),
      new StreamMessageWriter(host.stdin),
    );
    this.#connection.onNotification(api.outputNotification, ({ stdout, stderr, ...name }) =>
      this.#listeners.get(key(name))?.output(stdout, stderr),
    );
    this.#connection.onNotification(api.exitNotification, message => {
      const listener = this.#listeners.get(key(message));
      this.#listeners.delete(key(message));
      listener?.exit(message);
    });
    this.#connection.onNotification(api.progressNotification, ({ uuid, message, done, total }) =>
      this.#progress.get(uuid)?.(message, done, total),
    );
    this.#connection.onError(() => host.kill());
    this.gone = host.gone.then(
      () => undefined,
      () => undefined,
    );
    this.ready = new Promise((resolve, reject) => {
      this.#connection.onNotification(api.readyNotification, () => resolve());
      const end = (how: string) => {
        this.#loss(how);
        reject(
          new CoppiceError('runtime_unavailable', `the native runtime did not start: ${complaints.join(' ') || how}`),
        );
      };
      host.gone.then(
        ({ code, signal }) => end(signal ? `it was killed by ${signal}` : `it ended with code ${code}`),
        (error: Error) => end(error.message),
      );
    });
    this.ready.catch(() => undefined);
    const overdue = setTimeout(() => {
      complaints.push(`it was not ready after ${readyMs / 1000} s`);
      host.kill();
    }, readyMs);
    const settled = () => clearTimeout(overdue);
    this.ready.then(settled, settled);
    this.#connection.listen();
  }

  get alive(): boolean {
    return this.#lost === undefined;
  }

  /** Tell before asking, so that nothing is missed. */
  listen(name: api.ProcessName, listener: ProcessListener): void {
    this.#listeners.set(key(name), listener);
  }

  unlisten(name: api.ProcessName): void {
    this.#listeners.delete(key(name));
  }

  onProgress(uuid: string, listener: (message: string, done?: number, total?: number) => void): Disposable {
    this.#progress.set(uuid, listener);
    return { [Symbol.dispose]: () => void this.#progress.delete(uuid) };
  }

  async ask<P, R>(type: RequestType<P, R, unknown>, params: P, signal?: AbortSignal): Promise<R> {
    if (this.#lost) throw this.#lost;
    const cancel = new CancellationTokenSource();
    const abort = () => cancel.cancel();
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      return await this.#connection.sendRequest(type.method, params, cancel.token);
    } catch (error) {
      throw this.#understood(error);
    } finally {
      signal?.removeEventListener('abort', abort);
      cancel.dispose();
    }
  }

  /** The host ends when its stdin closes; a stuck one is killed. */
  async close(): Promise<void> {
    this.#connection.end();
    this.#host.stdin.end();
    const timer = setTimeout(() => this.#host.kill(), 2000);
    await this.gone;
    clearTimeout(timer);
  }

  #understood(error: unknown): unknown {
    if (error instanceof ResponseError && error.code === COPPICE_ERROR)
      return CoppiceError.from(error.data as WireError);
    return this.#lost ?? error;
  }

  #loss(how: string): void {
    this.#lost = new CoppiceError('interrupted', `the native runtime's host process is gone: ${how}`, {
      fix: 'Run it again; `coppice engine log` says why the host ended.',
    });
    this.#connection.dispose();
    for (const listener of this.#listeners.values()) listener.lost(this.#lost);
    this.#listeners.clear();
  }
}

function key(name: api.ProcessName): string {
  return `${name.sandbox}~${name.process}`;
}

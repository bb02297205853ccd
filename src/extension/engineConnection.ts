import * as vscode from 'vscode';
import type { CallOptions, EngineClient, VerbCaller } from '../client/engineClient.ts';
import type { EngineLocation } from '../client/startEngine.ts';
import { CoppiceError, toWireError, type WireError } from '../protocol/errors.ts';
import type { EngineEvent, Topic } from '../protocol/events.ts';
import type { EngineInfo } from '../protocol/rpc.ts';
import type { VerbInput, VerbName, VerbResult } from '../protocol/verbs.ts';
import { Disposable } from './disposable.ts';

export type EngineState =
  /** Nothing has asked for the engine yet, or the connection ended. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly engine: EngineInfo }
  | { readonly kind: 'failed'; readonly error: CoppiceError };

const TOPICS: readonly Topic[] = ['image', 'operation', 'branch'];
/** Long enough for a newer client that replaces the engine by its own. */
const RECONNECT_AFTER_MS = 1000;
/** An engine that ends sooner than this after a connection is not tried again by itself. */
const SHORT_LIFE_MS = 5_000;

/**
 * The extension's one way to the engine: connects when first asked, tells its state, and comes back by itself when the
 * engine ended while somebody watches.
 */
export class EngineConnection extends Disposable implements VerbCaller {
  readonly #location: EngineLocation;
  readonly #log: vscode.LogOutputChannel;
  readonly #stateChanged = this._register(new vscode.EventEmitter<EngineState>());
  readonly #events = this._register(new vscode.EventEmitter<EngineEvent>());
  readonly #abort = new AbortController();
  #client: Promise<EngineClient> | undefined;
  #state: EngineState = { kind: 'idle' };
  #connectedAt = 0;
  #watchers = 0;

  readonly onDidChangeState = this.#stateChanged.event;
  /** Images, operations and branches, and `lagged` when some were missed. */
  readonly onEvent = this.#events.event;

  constructor(location: EngineLocation, log: vscode.LogOutputChannel) {
    super();
    this.#location = location;
    this.#log = log;
  }

  get state(): EngineState {
    return this.#state;
  }
  get home(): string {
    return this.#location.home;
  }

  /** The live connection, made when there is none. */
  client(): Promise<EngineClient> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async call<V extends VerbName>(verb: V, input: VerbInput<V>, options: CallOptions = {}): Promise<VerbResult<V>> {
    const client = await this.client();
    this.#log.debug(`call ${verb}`);
    return client.call(verb, input, options);
  }

  /** Until disposed, a connection that was lost is made again. */
  watch(): vscode.Disposable {
    this.#watchers++;
    let counted = true;
    return {
      dispose: () => {
        if (counted) this.#watchers--;
        counted = false;
      },
    };
  }

  override dispose(): void {
    this.#abort.abort();
    this.#client?.then(
      client => client.close(),
      () => undefined, // It was reported when it failed.
    );
    super.dispose();
  }

  async #connect(): Promise<EngineClient> {
    this.#setState({ kind: 'connecting' });
    try {
      const { EngineClient } = await import('../client/engineClient.ts');
      const client = await EngineClient.connect(this.#location, 'vscode', this.#abort.signal);
      void client.closed.then(() => this.#lost());
      await client.subscribe(TOPICS, event => this.#events.fire(event));
      this.#connectedAt = Date.now();
      this.#log.info(
        `connected to engine ${client.engine.version} (pid ${client.engine.pid}) in ${client.engine.home}`,
      );
      this.#setState({ kind: 'connected', engine: client.engine });
      return client;
    } catch (thrown) {
      this.#client = undefined;
      const error = asCoppiceError(thrown);
      this.#log.error(`no engine: ${error.message} ${error.fix ?? ''}`);
      this.#setState({ kind: 'failed', error });
      throw error;
    }
  }

  #lost(): void {
    if (this.isDisposed || this.#state.kind !== 'connected') return;
    this.#client = undefined;
    if (Date.now() - this.#connectedAt < SHORT_LIFE_MS && this.#watchers > 0) {
      const error = new CoppiceError('engine_died', 'the engine ended right after it was started', {
        fix: 'See the engine log for the cause, then try again.',
      });
      this.#log.error(error.message);
      this.#setState({ kind: 'failed', error });
      return;
    }
    this.#log.warn('the connection to the engine ended');
    this.#setState({ kind: 'idle' });
    setTimeout(() => this.#reconnect(), RECONNECT_AFTER_MS);
  }

  #reconnect(): void {
    if (this.isDisposed || this.#watchers === 0) return;
    this.client().catch(() => undefined); // The state says that and why it failed.
  }

  #setState(state: EngineState): void {
    if (this.isDisposed) return;
    this.#state = state;
    this.#stateChanged.fire(state);
  }
}

export function asCoppiceError(thrown: unknown): CoppiceError {
  if (thrown instanceof CoppiceError) return thrown;
  // Each bundle has a class of its own by this name.
  if (thrown instanceof Error && thrown.name === 'CoppiceError')
    return CoppiceError.from(thrown as unknown as WireError);
  return CoppiceError.from(toWireError(thrown));
}

import * as vscode from 'vscode';
import type { EngineEvent } from '../protocol/events.ts';
import { Disposable } from './disposable.ts';
import type { EngineConnection } from './engineConnection.ts';

/** How many operations wait or run, for the badge and the status bar: counted from events, hidden views or not. */
export class LiveOperations extends Disposable {
  readonly #connection: EngineConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #changed = this._register(new vscode.EventEmitter<number>());
  #ids = new Set<string>();

  readonly onDidChange = this.#changed.event;

  constructor(connection: EngineConnection, log: vscode.LogOutputChannel) {
    super();
    this.#connection = connection;
    this.#log = log;
    this._register(connection.onEvent(event => this.#take(event)));
    this._register(
      connection.onDidChangeState(state => {
        if (state.kind === 'connected') void this.#count();
        else this.#set(new Set());
      }),
    );
  }

  get count(): number {
    return this.#ids.size;
  }

  #take(event: EngineEvent): void {
    if (event.topic === 'lagged') void this.#count();
    if (event.topic !== 'operation') return;
    const { operation_id, status } = event.operation;
    const live = status === 'PENDING' || status === 'EXECUTING';
    if (live === this.#ids.has(operation_id)) return;
    const ids = new Set(this.#ids);
    if (live) ids.add(operation_id);
    else ids.delete(operation_id);
    this.#set(ids);
  }

  async #count(): Promise<void> {
    try {
      const { operations } = await this.#connection.call('list_operations', {
        status: ['PENDING', 'EXECUTING'],
        limit: 10_000,
      });
      this.#set(new Set(operations.map(operation => operation.operation_id)));
    } catch (error) {
      this.#log.warn(`could not count the running operations: ${String(error)}`);
    }
  }

  #set(ids: Set<string>): void {
    if (ids.size === 0 && this.#ids.size === 0) return;
    this.#ids = ids;
    this.#changed.fire(ids.size);
  }
}

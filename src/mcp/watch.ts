import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { EngineClient } from '../client/engineClient.ts';
import type { EngineEvent } from '../protocol/events.ts';
import { operationLine } from '../verbs/operations.ts';
import { parseResourceUri } from './resourceUri.ts';

/** A burst of new images and operations is one change of the list. */
const SETTLE_MS = 250;

/** Tells the agent's client what changes: the list of resources, those it subscribed to, and the end of what it left running. */
export class ResourceWatch {
  readonly #server: Server;
  /** An address as the client wrote it → the images (by UUID and tag) or operation it is about. */
  readonly #subscribed = new Map<string, ReadonlySet<string>>();
  readonly #left = new Set<string>();
  readonly #known = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(server: Server) {
    this.#server = server;
  }

  /** Called with every new connection to the engine. What changed while there was none is not known: say so. */
  async follow(client: EngineClient): Promise<void> {
    await client.subscribe(['image', 'operation'], event => this.#take(event));
    if (this.#subscribed.size > 0) this.#everything();
  }

  async subscribe(client: EngineClient, uri: string): Promise<void> {
    const address = parseResourceUri(uri);
    if (address.kind === 'operation') this.#subscribed.set(uri, new Set([address.id]));
    else if (address.kind === 'guide') this.#subscribed.set(uri, new Set());
    else {
      const { uuid } = await client.call('get_image', { image: address.image });
      // What an image holds never changes; who it is by name, and who stands around it, does.
      this.#subscribed.set(uri, new Set([uuid, address.image]));
    }
  }

  unsubscribe(uri: string): void {
    this.#subscribed.delete(uri);
  }

  leftRunning(operation: string): void {
    this.#left.add(operation);
  }

  #take(event: EngineEvent): void {
    switch (event.topic) {
      case 'image': {
        const { uuid, tag, parent } = event.image;
        this.#updated([uuid, ...(tag === null ? [] : [`tag:${tag}`, tag]), ...(parent === null ? [] : [parent])]);
        this.#listChanged();
        break;
      }
      case 'operation': {
        const { operation_id: id, finished_at: finished } = event.operation;
        this.#updated([id]);
        // Output makes it an event a few times a second; the list shows its beginning and its end.
        if (finished !== null || !this.#known.has(id)) this.#listChanged();
        if (finished === null) this.#known.add(id);
        else this.#known.delete(id);
        if (finished !== null && this.#left.delete(id)) this.#log('info', operationLine(event.operation));
        break;
      }
      case 'lagged':
        this.#everything();
        break;
    }
  }

  #updated(changed: readonly string[]): void {
    for (const [uri, about] of this.#subscribed) {
      if (changed.some(id => about.has(id))) this.#tell(this.#server.sendResourceUpdated({ uri }));
    }
  }

  #everything(): void {
    for (const uri of this.#subscribed.keys()) this.#tell(this.#server.sendResourceUpdated({ uri }));
    this.#listChanged();
  }

  #listChanged(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tell(this.#server.sendResourceListChanged());
    }, SETTLE_MS);
  }

  engineLost(): void {
    this.#log('warning', 'The engine ended. The next call starts another; images and finished operations are kept.');
  }

  #log(level: 'info' | 'warning', data: string): void {
    this.#tell(this.#server.sendLoggingMessage({ level, logger: 'coppice', data }, this.#server.transport?.sessionId));
  }

  #tell(sent: Promise<void>): void {
    sent.catch(() => undefined); // The agent has gone, or its transport has no stream for what it did not ask for.
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#subscribed.clear();
  }
}

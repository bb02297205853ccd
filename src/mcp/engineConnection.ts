import { EngineClient } from '../client/engineClient.ts';
import type { EngineLocation } from '../client/startEngine.ts';

/** A connection that is made when first needed, and made again after the engine has gone. */
export class EngineConnection {
  readonly #location: EngineLocation;
  #client: Promise<EngineClient> | undefined;

  constructor(location: EngineLocation) {
    this.#location = location;
  }

  connect(): Promise<EngineClient> {
    this.#client ??= this.#open();
    return this.#client;
  }

  async #open(): Promise<EngineClient> {
    try {
      const client = await EngineClient.connect(this.#location, 'mcp');
      void client.closed.then(() => {
        this.#client = undefined;
      });
      return client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  close(): void {
    void this.#client?.then(
      client => client.close(),
      () => undefined, // Whoever asked for it was told.
    );
  }
}

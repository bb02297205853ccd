import { EngineClient } from '../client/engineClient.ts';
import type { EngineLocation } from '../client/startEngine.ts';

/** A connection that is made when first needed, and made again after the engine has gone. */
export class EngineConnection {
  readonly #location: EngineLocation;
  readonly #made: (client: EngineClient) => Promise<void>;
  readonly #lost: () => void;
  #client: Promise<EngineClient> | undefined;
  #closed = false;

  /** `made` prepares every new connection before anybody uses it; `lost` is told when one ended by itself. */
  constructor(location: EngineLocation, made: (client: EngineClient) => Promise<void>, lost: () => void) {
    this.#location = location;
    this.#made = made;
    this.#lost = lost;
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
        if (!this.#closed) this.#lost();
      });
      await this.#made(client).catch(error => {
        client.close();
        throw error;
      });
      if (this.#closed) client.close();
      return client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    void this.#client?.then(
      client => client.close(),
      () => undefined, // Whoever asked for it was told.
    );
  }
}

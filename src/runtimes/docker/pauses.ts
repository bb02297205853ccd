import type { Connection } from './connect/connection.ts';
import type { Names } from './names.ts';
import type { InsideTools } from './tools.ts';

/** A network that a container may join: of a pause that runs already, or one that is made for it. */
export interface Joined {
  readonly mode: string;
  /** Told when the container is gone; `broken`: it could not be joined. */
  release(broken: boolean): void;
}

const mostPauses = 16;

interface Pause {
  readonly id: string;
  readonly network: 'none' | 'nat';
}

/**
 * Most of a container's start is its network. So containers that do nothing but hold one are started ahead; a run joins
 * one of them, which it has for itself. Whoever finds none free makes its own, and one more is started behind.
 */
export class Pauses {
  readonly #connection: Connection;
  readonly #tools: InsideTools;
  readonly #names: () => Names;
  readonly #log: (line: string) => void;
  readonly #free: Record<Pause['network'], Pause[]> = { none: [], nat: [] };
  readonly #all = new Set<string>();
  readonly #starting = new Set<Promise<void>>();
  #closed = false;

  constructor(connection: Connection, tools: InsideTools, names: () => Names, log: (line: string) => void) {
    this.#connection = connection;
    this.#tools = tools;
    this.#names = names;
    this.#log = log;
  }

  /** `ahead: false`: one of its own. */
  claim(network: Pause['network'], ahead = true): Joined {
    const pause = ahead ? this.#free[network].pop() : undefined;
    if (this.#free[network].length === 0) this.#startBehind(network);
    if (!pause) return { mode: network === 'nat' ? 'bridge' : 'none', release: () => {} };
    return {
      mode: `container:${pause.id}`,
      release: broken => {
        if (!broken && !this.#closed) this.#free[network].push(pause);
        else this.#remove(pause.id);
      },
    };
  }

  /** Of a run that an earlier engine started: it goes with that. */
  adopted(mode: string): Joined {
    const [, id] = /^container:(\w+)$/.exec(mode) ?? [];
    return { mode, release: () => (id === undefined ? undefined : this.#remove(id)) };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#starting);
    await Promise.all([...this.#all].map(id => this.#removed(id)));
  }

  #startBehind(network: Pause['network']): void {
    if (this.#closed || this.#all.size + this.#starting.size >= mostPauses) return;
    const starting = this.#start(network)
      .catch((error: Error) => this.#log(`docker: a network was not made ahead: ${error.message}`))
      .finally(() => this.#starting.delete(starting));
    this.#starting.add(starting);
  }

  async #start(network: Pause['network']): Promise<void> {
    const { api } = await this.#connection.daemon();
    const { image } = await this.#tools.tools();
    const container = await api.createContainer({
      Image: image,
      Hostname: 'coppice',
      Labels: this.#names().labels('pause', network),
      HostConfig: {
        NetworkMode: network === 'nat' ? 'bridge' : 'none',
        LogConfig: { Type: 'none', Config: {} },
        PidsLimit: 1,
      },
    });
    this.#all.add(container.id);
    try {
      await container.start();
    } catch (error) {
      await this.#removed(container.id);
      throw error;
    }
    this.#free[network].push({ id: container.id, network });
  }

  #remove(id: string): void {
    this.#removed(id).catch((error: Error) =>
      this.#log(`docker: a network stays until the next start: ${error.message}`),
    );
  }

  async #removed(id: string): Promise<void> {
    this.#all.delete(id);
    const { api } = await this.#connection.daemon();
    await api
      .getContainer(id)
      .remove({ force: true, v: true })
      .catch((error: { statusCode?: number }) => {
        if (error.statusCode !== 404) throw error;
      });
  }
}

import { readFileSync } from 'node:fs';
import { CoppiceError } from '../../protocol/errors.ts';
import { EngineClient } from '../engineClient.ts';
import type { EngineLocation } from '../startEngine.ts';

/** How often the engine is asked whether it still is there while somebody waits for it. */
const TICK_MS = 200;
/** So long without an answer, and its process is looked at. */
const SUSPICIOUS_TICKS = 2;
/** So long, and it is given up although it seems to run. */
const HOPELESS_TICKS = 40;

/** The way to the engine: connected when first asked for, anew when it had ended, and watched while somebody waits. */
export class EngineDoor {
  readonly #location: EngineLocation;
  #client: Promise<EngineClient> | undefined;
  #connected: EngineClient | undefined;
  #waiting = 0;
  readonly #holding = new Set<object>();
  #ticker: NodeJS.Timeout | undefined;
  /** Ticks since the engine was asked for a sign of life; undefined: it gave one. */
  #silent: number | undefined;
  #verdict: CoppiceError | undefined;

  constructor(location: EngineLocation) {
    this.#location = location;
  }

  client(): Promise<EngineClient> {
    this.#client ??= this.#connect();
    return this.#client;
  }

  async #connect(): Promise<EngineClient> {
    try {
      const client = await EngineClient.connect(this.#location, 'sdk');
      this.#connected = client;
      this.#verdict = undefined;
      this.#silent = undefined;
      this.#refer();
      void client.closed.then(() => this.#leave(client));
      return client;
    } catch (error) {
      this.#client = undefined;
      throw error;
    }
  }

  #leave(client: EngineClient): void {
    if (this.#connected !== client) return;
    this.#connected = undefined;
    this.#client = undefined;
  }

  /** Until it is released, the program does not end by itself. */
  hold(): object {
    const hold = {};
    this.#holding.add(hold);
    this.#refer();
    return hold;
  }

  release(hold: object): void {
    this.#holding.delete(hold);
    this.#refer();
  }

  #refer(): void {
    if (this.#holding.size > 0) this.#connected?.ref();
    else this.#connected?.unref();
  }

  /** Watches the engine until `work` is over. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    this.#watch();
    try {
      return await work();
    } catch (error) {
      const died = error instanceof CoppiceError && error.code === 'engine_died';
      throw died && this.#verdict ? this.#verdict : error;
    } finally {
      this.#waiting--;
      this.#watch();
    }
  }

  close(): void {
    this.#connected?.close();
  }

  #watch(): void {
    if (this.#waiting === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
      this.#silent = undefined;
      return;
    }
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #tick(): void {
    const client = this.#connected;
    if (!client) return;
    if (this.#silent === undefined) {
      this.#silent = 0;
      const heard = () => {
        if (this.#connected === client) this.#silent = undefined;
      };
      client.status().then(heard, () => undefined); // Its end is told to those who wait for it.
      return;
    }
    this.#silent++;
    if (this.#silent >= SUSPICIOUS_TICKS && isStopped(client.engine.pid)) this.#giveUp(client, 'is stopped');
    else if (this.#silent >= HOPELESS_TICKS) this.#giveUp(client, 'does not answer');
  }

  #giveUp(client: EngineClient, how: string): void {
    this.#verdict = new CoppiceError('engine_died', `the engine (pid ${client.engine.pid}) ${how}`, {
      fix: 'See coppice engine log; end that process, and the next call starts another engine.',
      data: { pid: client.engine.pid },
    });
    client.close();
  }
}

/** By a signal or a debugger. Where there is no /proc, only silence tells. */
function isStopped(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return /^[tT]$/.test(stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3));
  } catch {
    return false;
  }
}

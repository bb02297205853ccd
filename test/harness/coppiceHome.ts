import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '../../src/client/engineClient.ts';
import { CoppiceError } from '../../src/protocol/errors.ts';
import { TemporaryFolder } from './temporaryFolder.ts';

export const repository = path.resolve(import.meta.dirname, '..', '..');
export const engineScript = path.join(repository, 'dist', 'engine.js');

/**
 * A COPPICE_HOME of a test's own. Disposing ends its engine, if any client started one, and removes every trace.
 *
 *     await using home = new CoppiceHome();
 *     spawn(process.execPath, ['dist/coppice.js', …], { env: { ...process.env, ...home.env } });
 *     const client = await home.connect();
 */
export class CoppiceHome implements AsyncDisposable {
  readonly #atExit = this.#killEngines.bind(this);
  readonly #folder = new TemporaryFolder();
  readonly #engineEnv: NodeJS.ProcessEnv;
  readonly #engines = new Set<number>();

  /** `engineEnv` is for the engine that `connect` starts. */
  constructor(engineEnv: NodeJS.ProcessEnv = {}) {
    // Before folders are cleared, so that nobody writes there any more.
    process.prependOnceListener('exit', this.#atExit);
    this.#engineEnv = engineEnv;
  }

  get path(): string {
    return this.#folder.path;
  }
  /** The engine of a test that was killed goes by itself. */
  get env(): { readonly COPPICE_HOME: string; readonly COPPICE_IDLE_STOP: string } {
    return { COPPICE_HOME: this.path, COPPICE_IDLE_STOP: '60' };
  }

  /** A connection to this home's engine, which is started when it does not run. */
  async connect(signal?: AbortSignal): Promise<EngineClient> {
    const location = { home: this.path, script: engineScript, start: true, env: this.#engineEnv };
    const client = await EngineClient.connect(location, 'cli', signal);
    this.#engines.add(client.engine.pid);
    return client;
  }

  async stopEngine(): Promise<void> {
    const client = await this.running();
    if (!client) return;
    const { pid } = client.engine;
    await client.stopEngine(true);
    for (const deadline = Date.now() + 10_000; existsSync(`/proc/${pid}`) && Date.now() < deadline; ) await sleep(10);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stopEngine();
    } finally {
      process.off('exit', this.#atExit);
      this.#folder[Symbol.dispose]();
    }
  }

  /** A test that is interrupted runs no `finally`. */
  #killEngines(): void {
    for (const pid of this.#engines) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  /** undefined: no engine runs. */
  async running(): Promise<EngineClient | undefined> {
    try {
      return await EngineClient.connect({ home: this.path, script: engineScript, start: false }, 'cli');
    } catch (error) {
      if (error instanceof CoppiceError && error.code === 'engine_unreachable') return undefined;
      throw error;
    }
  }
}

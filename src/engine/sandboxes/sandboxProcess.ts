import { CoppiceError, invalidInput, toWireError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { ProcessView } from '../../protocol/schemas/sandboxes.ts';
import type { ProcessExit, RuntimeProcess } from '../../runtimes/runtime.ts';
import type { Log } from '../log.ts';
import type { OutputSource } from '../operations/operationVerbs.ts';
import type { OutputFeed } from '../operations/outputFeed.ts';
import type { Spools } from '../store/spools.ts';

export interface ProcessParts {
  readonly id: string;
  readonly sandboxId: string;
  readonly command: readonly string[];
  readonly terminal: boolean;
  /** Seconds from its start until it is killed; 0 = none. */
  readonly timeout: number;
  readonly spools: Spools;
  readonly feed: OutputFeed;
  readonly log: Log;
  /** Starts it as soon as that is possible. */
  readonly start: () => Promise<RuntimeProcess>;
}

/** One command in a sandbox, from the moment it is asked for. What is asked of it before it runs waits until it does. */
export class SandboxProcess {
  readonly id: string;
  readonly sandboxId: string;
  /** Resolves when it runs; rejects when it could not be started. */
  readonly started: Promise<RuntimeProcess>;
  /** Resolves when it is over, however that came. */
  readonly ended: Promise<void>;
  readonly #parts: ProcessParts;
  #startedAt: number | undefined;
  #endedAt: number | undefined;
  #exit: ProcessExit | undefined;
  #error: unknown;
  #timedOut = false;
  /** Input is written in the order it came, however long each piece takes. */
  #input: Promise<unknown> = Promise.resolve();

  constructor(parts: ProcessParts) {
    this.id = parts.id;
    this.sandboxId = parts.sandboxId;
    this.#parts = parts;
    this.started = parts.start();
    this.ended = this.#live();
  }

  async #live(): Promise<void> {
    try {
      const process = await this.started;
      this.#startedAt = Date.now();
      process.onOutput((stream, length) => this.#parts.feed.grew(this.id, stream, length));
      this.#exit = await this.#untilExit(process);
    } catch (error) {
      this.#error = error;
    }
    this.#endedAt = Date.now();
    this.#parts.feed.ended(this.id);
  }

  async #untilExit(process: RuntimeProcess): Promise<ProcessExit> {
    const { timeout, log } = this.#parts;
    if (timeout === 0) return process.exited;
    const timer = setTimeout(() => {
      this.#timedOut = true;
      process.kill('SIGKILL').catch(error => log.error(`${this.id} could not be killed at its timeout`, error));
    }, timeout * 1000);
    try {
      return await process.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  get running(): boolean {
    return this.#endedAt === undefined;
  }

  get exitCode(): number | undefined {
    return this.#exit?.exitCode;
  }

  /** Its end, or the error that kept it from starting. */
  async wait(signal: AbortSignal): Promise<ProcessView> {
    await untilAborted(this.ended, signal);
    if (this.#error !== undefined) throw this.#error;
    return this.view();
  }

  async write(bytes: Buffer, close: boolean): Promise<void> {
    const turn = this.#input.then(async () => {
      const process = await this.started;
      if (!this.running) throw this.#over();
      if (bytes.length > 0) await process.writeStdin(bytes);
      if (close) await process.closeStdin();
    });
    this.#input = turn.catch(() => undefined);
    await turn;
  }

  async resize(cols: number, rows: number): Promise<void> {
    if (!this.#parts.terminal) throw invalidInput('process_id', `${this.id} has no terminal`, 'Start it with a tty.');
    const process = await this.started;
    if (this.running) await unlessGone(process.resize(cols, rows));
  }

  /** One that has ended is left as it is. */
  async kill(signal: string): Promise<void> {
    const process = await this.started;
    if (this.running) await unlessGone(process.kill(signal));
  }

  get output(): OutputSource {
    const capped = (stream: StreamName) => this.#exit?.output[stream].capped ?? false;
    return { ended: !this.running, capped: { stdout: capped('stdout'), stderr: capped('stderr') } };
  }

  view(): ProcessView {
    const bytes = (stream: StreamName) => this.#exit?.output[stream].bytes ?? this.#parts.spools.size(this.id, stream);
    return {
      process_id: this.id,
      sandbox_id: this.sandboxId,
      command: [...this.#parts.command],
      running: this.running,
      exit_code: this.#exit?.exitCode ?? null,
      signal: this.#exit?.signal ?? null,
      timed_out: this.#timedOut,
      output_bytes: { stdout: bytes('stdout'), stderr: bytes('stderr') },
      duration_ms:
        this.#startedAt === undefined || this.#endedAt === undefined ? null : this.#endedAt - this.#startedAt,
    };
  }

  #over(): CoppiceError {
    const how = this.#error === undefined ? `exit code ${this.#exit?.exitCode}` : toWireError(this.#error).message;
    return new CoppiceError('conflict', `process ${this.id} has ended: ${how}`, {
      field: 'process_id',
      data: { process_id: this.id },
    });
  }
}

/** A process may end between the look at it and what is asked of it. */
async function unlessGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof CoppiceError && error.code === 'process_not_found')) throw error;
  }
}

/** The same, unless the caller does not wait any longer. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

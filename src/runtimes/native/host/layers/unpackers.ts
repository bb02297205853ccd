import { availableParallelism } from 'node:os';
import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { Unpacked, UnpackOptions } from './unpack.ts';
import type { FromWorker, ToWorker } from './unpackWorker.ts';

const most = Math.min(4, Math.max(2, availableParallelism()));
/** A thread costs 15 MB and 25 ms. */
const idleMs = 5000;
/** An archive that makes a thread want more ends that thread, not the host. */
const heapMegabytes = 1024;

/** Threads that unpack archives, a few at a time; gone when there is nothing to do. */
export class Unpackers {
  readonly #script: string;
  readonly #idle: Unpacker[] = [];
  readonly #waiting: ((unpacker: Unpacker) => void)[] = [];
  #living = 0;

  constructor(script: string) {
    this.#script = script;
  }

  async unpack(source: Readable, folder: string, options: UnpackOptions): Promise<Unpacked> {
    const unpacker = await this.#take();
    try {
      return await unpacker.unpack(source, folder, options);
    } finally {
      source.destroy();
      this.#giveBack(unpacker);
    }
  }

  close(): void {
    for (const unpacker of this.#idle.splice(0)) this.#end(unpacker);
  }

  #take(): Unpacker | Promise<Unpacker> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#living >= most) return new Promise(resolve => this.#waiting.push(resolve));
    this.#living++;
    return new Unpacker(this.#script);
  }

  #giveBack(unpacker: Unpacker): void {
    const next = this.#waiting.shift();
    if (unpacker.dead) {
      if (next === undefined) this.#living--;
      else next(new Unpacker(this.#script));
    } else if (next !== undefined) next(unpacker);
    else {
      this.#idle.push(unpacker);
      setTimeout(() => this.#endIdle(unpacker), idleMs).unref();
    }
  }

  /** It may have worked, and be idle again: then it goes a little early. */
  #endIdle(unpacker: Unpacker): void {
    const index = this.#idle.indexOf(unpacker);
    if (index < 0) return;
    this.#idle.splice(index, 1);
    this.#end(unpacker);
  }

  #end(unpacker: Unpacker): void {
    this.#living--;
    unpacker.end();
  }
}

class Unpacker {
  dead = false;
  readonly #worker: Worker;
  #hear: (message: FromWorker) => void = () => {};
  #lose: (error: Error) => void = () => {};

  constructor(script: string) {
    this.#worker = new Worker(script, { resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } });
    this.#worker.on('message', (message: FromWorker) => this.#hear(message));
    this.#worker.on('error', error => this.#lost(error as Error));
    this.#worker.on('exit', code => this.#lost(new Error(`it ended with code ${code}`)));
    this.#worker.unref();
  }

  async unpack(source: Readable, folder: string, options: UnpackOptions): Promise<Unpacked> {
    const { signal, layer } = options;
    signal.throwIfAborted();
    this.#worker.ref();
    const stop = () => this.#tell({ kind: 'stop' });
    const finished = this.#answer(source, options);
    signal.addEventListener('abort', stop, { once: true });
    this.#tell({ kind: 'begin', folder, layer });
    try {
      return await finished;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#hear = () => {};
      this.#lose = () => {};
      this.#worker.unref();
    }
  }

  end(): void {
    this.dead = true;
    void this.#worker.terminate();
  }

  /** A source that breaks stops the thread, and is what the job failed of. */
  #answer(source: Readable, options: UnpackOptions): Promise<Unpacked> {
    const pieces = source.iterator({ destroyOnReturn: false });
    let broken: unknown;
    let done = 0;
    let over = false;
    const feed = async () => {
      try {
        const next = await pieces.next();
        // The thread may have the next job by now, and must not take this for its own.
        if (over) return;
        if (next.done) return this.#tell({ kind: 'end' });
        const bytes = ownBytes(next.value as Buffer);
        done += bytes.length;
        this.#tell({ kind: 'piece', bytes }, [bytes.buffer as ArrayBuffer]);
        options.progress(done);
      } catch (error) {
        if (over) return;
        broken = error;
        this.#tell({ kind: 'stop' });
      }
    };
    return new Promise<Unpacked>((resolve, reject) => {
      this.#lose = reject;
      this.#hear = message => {
        over ||= message.kind !== 'more';
        if (message.kind === 'more') void feed();
        else if (message.kind === 'done') resolve(message.unpacked);
        else reject(broken ?? CoppiceError.from(message.error));
      };
    });
  }

  #tell(message: ToWorker, transferred: readonly ArrayBuffer[] = []): void {
    if (!this.dead) this.#worker.postMessage(message, transferred);
  }

  #lost(error: Error): void {
    this.dead = true;
    this.#lose(new CoppiceError('import_failed', `the archive cannot be unpacked: ${error.message}`, { cause: error }));
  }
}

/** Given away whole: a piece of a larger buffer has to be copied. */
function ownBytes(chunk: Buffer): Uint8Array {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : new Uint8Array(chunk);
}

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { InterruptedError, WouldDeadlockError } from '../core.ts';
import type { JobName, JobOutcome, JobParams } from '../jobs/jobs.ts';
import { holdsByItself, type Link, type StartedJob } from '../link.ts';
import type { EngineLocation } from '../startEngine.ts';
import { BEAT, type BridgeData, DEAD, type FromBridge, SEQ, WORDS } from './control.ts';
import { HeldThread } from './heldThread.ts';

/** So many slices of waiting without a beat, and the bridge is taken for dead; until its first it may be slow to start. */
const SLICES_WITHOUT_BEAT = 30;
const SLICES_TO_FIRST_BEAT = 80;
/** How long a program that ends waits for its sandboxes to stop; the engine sees to the rest. */
const LEAVE_MS = 2_000;

/** The way to the engine through a thread of its own, so that this one can be held until there is an answer. */
export class BlockingLink implements Link {
  readonly blocking = true;
  readonly #control = new Int32Array(new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT));
  readonly #port: MessagePort;
  readonly #thread = new HeldThread(this.#control, SEQ);
  readonly #waiting = new Map<number, (outcome: JobOutcome) => void>();
  readonly #holding = new Set<number>();
  readonly #owned = new Set<string>();
  #counter = 0;
  #delivering = false;
  #interrupted = false;

  constructor(script: string, location: EngineLocation) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData: BridgeData = { control: this.#control, port: port2, location };
    const worker = new Worker(script, { name: 'coppice', workerData, transferList: [port2], execArgv: [] });
    worker.unref();
    worker.on('error', error => this.#fail(`the bridge to the engine failed: ${error.message}`));
    worker.on('exit', () => this.#fail('the bridge to the engine ended'));
    this.#port.on('message', (message: FromBridge) => this.#deliver(message));
    this.#port.unref();
    process.on('uncaughtExceptionMonitor', error => {
      this.#interrupted = error instanceof InterruptedError;
    });
    process.on('exit', () => this.#leave());
  }

  start<J extends JobName>(job: J, params: JobParams<J>, settled: (outcome: JobOutcome<J>) => void): StartedJob {
    const id = ++this.#counter;
    this.#waiting.set(id, settled as (outcome: JobOutcome) => void);
    this.#port.postMessage({ id, job, params }, memoryOf(params));
    if (holdsByItself(job, params)) this.#hold(id);
    return { cancel: () => this.#port.postMessage({ cancel: id }), hold: () => this.#hold(id) };
  }

  poll(): void {
    if (!this.#delivering) this.#drain();
  }

  block(what: string, done: () => boolean, deadline: number): boolean {
    if (this.#delivering) {
      throw new WouldDeadlockError(
        'would_deadlock',
        `${what}: .get() inside a callback would hold up what it waits for`,
        {
          fix: 'Use await, or collect what the callback gets and ask afterwards.',
        },
      );
    }
    let beat = Atomics.load(this.#control, BEAT);
    let silent = 0;
    for (let turn = 0; ; turn++) {
      // In this order: what comes after the number was read changes it, so the wait below ends at once.
      const seq = Atomics.load(this.#control, SEQ);
      this.#drain();
      if (done()) return true;
      if (Atomics.load(this.#control, DEAD) !== 0) this.#fail('the bridge to the engine failed');
      const remaining = deadline - performance.now();
      if (remaining <= 0) return false;
      if (this.#thread.wait(seq, remaining, turn === 0)) continue;
      const next = Atomics.load(this.#control, BEAT);
      silent = next === beat ? silent + 1 : 0;
      beat = next;
      const patience = beat === 0 ? SLICES_TO_FIRST_BEAT : SLICES_WITHOUT_BEAT;
      if (silent > patience) this.#fail('the bridge to the engine does not answer');
    }
  }

  owns(sandboxId: string, owned: boolean): void {
    if (owned) this.#owned.add(sandboxId);
    else this.#owned.delete(sandboxId);
  }

  #drain(): void {
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port))
      this.#deliver(next.message as FromBridge);
  }

  #deliver({ id, outcome }: FromBridge): void {
    const settled = this.#waiting.get(id);
    if (!settled) return;
    this.#waiting.delete(id);
    this.#holding.delete(id);
    if (this.#holding.size === 0) this.#port.unref();
    const outer = this.#delivering;
    this.#delivering = true;
    try {
      settled(outcome);
    } finally {
      this.#delivering = outer;
    }
  }

  /** The program ends by itself when nothing holds it any more. */
  #hold(id: number): void {
    if (!this.#waiting.has(id)) return;
    this.#holding.add(id);
    this.#port.ref();
  }

  #fail(message: string): void {
    const error = { code: 'engine_died', message, fix: 'Start the program again.' } as const;
    for (const id of [...this.#waiting.keys()]) this.#deliver({ id, outcome: { error } });
  }

  /** Best effort: what does not stop here ends with the connection. */
  #leave(): void {
    if (this.#interrupted) process.exitCode = new InterruptedError('interrupted', '').exitCode;
    if (this.#owned.size === 0) return;
    this.#delivering = false;
    let over = false;
    this.start('leave', { sandboxes: [...this.#owned] }, () => {
      over = true;
    });
    try {
      this.block('exit', () => over, performance.now() + LEAVE_MS);
    } catch (error) {
      if (!(error instanceof InterruptedError)) throw error;
    }
  }
}

/** Bytes move over instead of being copied: those in a job are nobody else's. */
function memoryOf(params: JobParams<JobName>): ArrayBuffer[] {
  const bytes = Object.values(params).filter(value => value instanceof Uint8Array);
  return bytes.filter(each => each.byteLength > 0).map(each => each.buffer as ArrayBuffer);
}

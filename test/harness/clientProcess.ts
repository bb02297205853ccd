import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { CoppiceError, type WireError } from '../../src/protocol/errors.ts';
import type { EngineInfo } from '../../src/protocol/rpc.ts';
import type { VerbInput, VerbName, VerbResult } from '../../src/protocol/verbs.ts';

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: WireError;
}

/** A client that lives in a process of its own, so that a test can stop or kill it. */
export class ClientProcess implements Disposable {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  readonly engine: Promise<EngineInfo>;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #counter = 0;

  constructor(home: string, env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [path.join(import.meta.dirname, 'clientProgram.ts'), home], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const lines = createInterface({ input: this.process.stdout });
    const ended = once(this.process, 'exit').then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the client process ended'));
    });
    this.engine = Promise.race([
      once(lines, 'line').then(([line]) => JSON.parse(line) as EngineInfo),
      ended.then(() => Promise.reject(new Error('the client process ended before it reached an engine'))),
    ]);
    this.engine.catch(() => undefined); // Only tests that ask for it care.
    lines.on('line', line => this.#take(JSON.parse(line)));
    this.process.stdin.on('error', () => undefined); // It was killed; its calls reject.
  }

  call<V extends VerbName>(verb: V, input: VerbInput<V>): Promise<VerbResult<V>> {
    return this.#ask(verb, input) as Promise<VerbResult<V>>;
  }

  /** Subscribes to an operation and its output, and throws the events away. */
  async follow(operationId: string): Promise<void> {
    await this.#ask('follow', { operation_id: operationId });
  }

  async #ask(verb: string, input: unknown): Promise<unknown> {
    await this.engine;
    const id = ++this.#counter;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.process.stdin.write(`${JSON.stringify({ id, verb, input })}\n`);
    });
  }

  #take({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(CoppiceError.from(error));
    else waiting?.resolve(result);
  }

  /** SIGKILL, and gone when this resolves. */
  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await gone;
  }

  [Symbol.dispose](): void {
    this.process.kill('SIGKILL');
  }
}

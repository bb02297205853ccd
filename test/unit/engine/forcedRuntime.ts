import { appendFileSync } from 'node:fs';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import type { StreamName } from '../../../src/protocol/events.ts';
import type {
  ProcessExit,
  ProcessSpec,
  Runtime,
  RuntimeProcess,
  RuntimeSandbox,
  SandboxFiles,
  SandboxSpec,
} from '../../../src/runtimes/runtime.ts';

/**
 * A runtime in memory that runs nothing: a test says when a sandbox is made, when a process ends and what fails.
 * It stands in for a runtime only to force orders and faults; what a real one does is shown by test/contract.
 */
export class ForcedRuntime {
  readonly sandboxes: ForcedSandbox[] = [];
  /** Awaited by `create`; a test that holds it or lets it throw decides how making a sandbox goes. */
  creating: () => Promise<void> = async () => {};
  starting: () => Promise<void> = async () => {};

  get runtime(): Runtime {
    const create = async (spec: SandboxSpec): Promise<RuntimeSandbox> => {
      await this.creating();
      const sandbox = new ForcedSandbox(spec, this);
      this.sandboxes.push(sandbox);
      return sandbox;
    };
    return { name: 'native', create } as unknown as Runtime;
  }

  get last(): ForcedSandbox {
    return this.sandboxes.at(-1)!;
  }
}

export class ForcedSandbox implements RuntimeSandbox {
  readonly id: string;
  readonly spec: SandboxSpec;
  readonly main: ForcedProcess;
  readonly processes = new Map<string, ForcedProcess>();
  stops = 0;
  removed = 0;
  stopping: () => Promise<void> = async () => {};
  removing: () => Promise<void> = async () => {};
  committing: (uuid: string) => Promise<{ changed: false } | { changed: true; data: unknown; size: number }> =
    async () => ({ changed: false });
  readonly #runtime: ForcedRuntime;

  constructor(spec: SandboxSpec, runtime: ForcedRuntime) {
    this.id = spec.id;
    this.spec = spec;
    this.#runtime = runtime;
    this.main = new ForcedProcess('main', spec.main);
  }

  async exec(id: string, spec: ProcessSpec): Promise<ForcedProcess> {
    await this.#runtime.starting();
    const process = new ForcedProcess(id, spec);
    this.processes.set(id, process);
    return process;
  }

  async readFile(): Promise<{ bytes: Buffer; size: number }> {
    return { bytes: Buffer.from('content'), size: 7 };
  }
  async writeFile(): Promise<void> {}
  readonly files: SandboxFiles = {
    list: async () => [],
    stat: async () => {
      throw new CoppiceError('path_not_found', 'nothing is there');
    },
    makeFolder: async () => {},
    remove: async () => {},
    rename: async () => {},
  };
  async changed(): Promise<boolean> {
    return false;
  }
  commit(uuid: string): Promise<{ changed: false } | { changed: true; data: unknown; size: number }> {
    return this.committing(uuid);
  }

  async stop(): Promise<void> {
    this.stops++;
    await this.stopping();
    this.#killAll();
  }

  async remove(): Promise<void> {
    this.removed++;
    this.#killAll();
    await this.removing();
  }

  #killAll(): void {
    for (const process of [this.main, ...this.processes.values()]) process.end(137, 'SIGKILL');
  }
}

export class ForcedProcess implements RuntimeProcess {
  readonly id: string;
  readonly spec: ProcessSpec | undefined;
  readonly exited: Promise<ProcessExit>;
  readonly signals: string[] = [];
  readonly sizes: string[] = [];
  input = '';
  inputClosed = false;
  /** Awaited by each write. */
  writing: () => Promise<void> = async () => {};
  #length = 0;
  readonly #listeners: ((stream: StreamName, length: number) => void)[] = [];
  readonly #end: PromiseWithResolvers<ProcessExit> = Promise.withResolvers();

  constructor(id: string, spec: ProcessSpec | undefined) {
    this.id = id;
    this.spec = spec;
    this.exited = this.#end.promise;
    this.exited.catch(() => undefined);
  }

  print(text: string): void {
    appendFileSync(this.spec!.spool.stdout, text);
    this.#length += Buffer.byteLength(text);
    for (const listener of this.#listeners) listener('stdout', this.#length);
  }

  end(exitCode: number, signal?: string): void {
    this.#end.resolve({
      exitCode,
      signal,
      oom: false,
      resources: { cpuMs: null, maxRss: null },
      output: { stdout: { bytes: this.#length, capped: false }, stderr: { bytes: 0, capped: false } },
    });
  }

  fail(error: CoppiceError): void {
    this.#end.reject(error);
  }

  onOutput(listener: (stream: StreamName, length: number) => void): void {
    this.#listeners.push(listener);
  }
  async writeStdin(bytes: Buffer): Promise<void> {
    await this.writing();
    if (this.inputClosed) throw new CoppiceError('conflict', 'written after it was closed');
    this.input += bytes.toString();
  }
  async closeStdin(): Promise<void> {
    this.inputClosed = true;
  }
  async kill(signal: string): Promise<void> {
    this.signals.push(signal);
    if (signal === 'SIGKILL') this.end(137, 'SIGKILL');
  }
  async resize(cols: number, rows: number): Promise<void> {
    this.sizes.push(`${cols}x${rows}`);
  }
}

/// <reference lib="esnext.disposable" preserve="true" />
import { randomBytes } from 'node:crypto';
import type { SandboxView } from '../protocol/schemas/sandboxes.ts';
import type { VerbName, VerbResult } from '../protocol/verbs.ts';
import { type BuildOptions, type BuiltImage, buildInput, builtImage } from './buildImage.ts';
import { invalid, SandboxNotFoundError } from './errors.ts';
import type { Link } from './link.ts';
import { type LogOptions, LogReader } from './logReader.ts';
import { OperationRef, type RefAbout } from './operationRef.ts';
import { EXEC_OPTIONS, type ExecOptions, Process } from './process.ts';
import { SandboxFiles, type TextEncoding, type WriteOptions } from './sandboxFiles.ts';
import { createInput, refuseUnknown, runArguments, type SandboxOptions } from './sandboxOptions.ts';
import { SHELL_OPTIONS, Shell, type ShellOptions, shellParts } from './shell.ts';
import type { DataSource } from './streamWriter.ts';

export type SandboxStatus = 'pending' | 'creating' | 'running' | 'terminating' | 'completed' | 'failed' | 'terminated';

export interface ListOptions {
  /** Those that have all of them. */
  readonly tags?: readonly string[];
  readonly status?: SandboxStatus;
  /** Also those that are over. */
  readonly showTerminated?: boolean;
}

/** @internal How a sandbox is made: by the class's own methods. */
export interface SandboxParts {
  readonly link: Link;
  readonly id: string;
  readonly tags: readonly string[];
  readonly status: SandboxStatus;
}

/** How long `using` waits for the stop at its end. */
const DISPOSE_MS = 10_000;

/**
 * A live container. It is begun at once and every method waits for it by itself: `Sandbox.run().exec(['make']).get()`.
 * It ends with `using`, `stop()`, this program, or its lifetime, whatever comes first.
 */
export class Sandbox {
  readonly id: string;
  readonly tags: readonly string[];
  readonly files: SandboxFiles;
  readonly #link: Link;
  #status: SandboxStatus;
  #stopping: OperationRef<void> | undefined;

  /** @internal Made by `Sandbox.run`, `Sandbox.fromId`, `Sandbox.list` and sessions. */
  constructor({ link, id, tags, status }: SandboxParts) {
    this.id = id;
    this.tags = tags;
    this.files = new SandboxFiles(link, id);
    this.#link = link;
    this.#status = status;
  }

  /** @internal The way to the engine. */
  static link(): Link {
    throw new Error('import Sandbox from coppice, coppice/async or coppice/compat');
  }

  /** Begins a sandbox and returns at once; what goes wrong is told by the first method that needs it. */
  static run<S extends typeof Sandbox>(this: S, ...words: (string | SandboxOptions)[]): InstanceType<S> {
    return this.begin(runArguments(words)) as InstanceType<S>;
  }

  /** @internal */
  static begin(options: SandboxOptions, sessionId?: string): Sandbox {
    const link = this.link();
    const id = `sb-${randomBytes(8).toString('hex')}`;
    const input = { ...createInput(id, options), ...(sessionId === undefined ? {} : { session_id: sessionId }) };
    const sandbox = new this({ link, id, tags: options.tags ?? [], status: 'pending' });
    OperationRef.job({ link, what: 'run', sandboxId: id }, 'create', input, view => sandbox.#seen(view.status));
    if (!options.detached) link.owns(id, true);
    return sandbox;
  }

  static list<S extends typeof Sandbox>(this: S, options: ListOptions = {}): OperationRef<InstanceType<S>[]> {
    refuseUnknown(options, ['tags', 'status', 'showTerminated'], 'list');
    const link = this.link();
    const input = {
      ...(options.tags === undefined ? {} : { tags: options.tags }),
      ...(options.status === undefined ? {} : { status: options.status }),
      ...(options.showTerminated === undefined ? {} : { show_terminated: options.showTerminated }),
      limit: 10_000,
    };
    return OperationRef.job(
      { link, what: 'list' },
      'verb',
      { verb: 'list_sandboxes', input, sandbox: undefined },
      result =>
        (result as { readonly sandboxes: readonly SandboxView[] }).sandboxes.map(
          view => this.of(view) as InstanceType<S>,
        ),
    );
  }

  /** One that lives already, of whatever program. */
  static fromId<S extends typeof Sandbox>(this: S, id: string): OperationRef<InstanceType<S>> {
    const params = { verb: 'get_sandbox', input: { sandbox_id: id }, sandbox: id } as const;
    return OperationRef.job({ link: this.link(), what: 'fromId', sandboxId: id }, 'verb', params, view => {
      return this.of(view as SandboxView) as InstanceType<S>;
    });
  }

  /** A Dockerfile becomes an image for `run`. */
  static build(options: BuildOptions = {}): OperationRef<BuiltImage> {
    const params = { verb: 'build', input: buildInput(options), sandbox: undefined } as const;
    return OperationRef.job({ link: this.link(), what: 'build' }, 'verb', params, result =>
      builtImage(result as VerbResult<'build'>),
    );
  }

  /** @internal */
  static of(view: SandboxView): Sandbox {
    return new this({ link: this.link(), id: view.sandbox_id, tags: view.tags, status: view.status });
  }

  /** Stops it, wherever it was made. */
  static delete(id: string, { missingOk = false }: { readonly missingOk?: boolean } = {}): OperationRef<void> {
    const link = this.link();
    const about = { link, what: 'delete', sandboxId: id };
    return new OperationRef<void>({
      ...about,
      begin: settle => {
        const params = { verb: 'stop_sandbox', input: { sandbox_id: id }, sandbox: id } as const;
        const stop = OperationRef.job(about, 'verb', params, () => link.owns(id, false));
        stop.whenSettled(outcome => {
          const missing = 'error' in outcome && outcome.error instanceof SandboxNotFoundError;
          settle(missing && missingOk ? { value: undefined } : outcome);
        });
        return { cancel: () => void stop.cancel(), hold: () => stop.hold() };
      },
    });
  }

  /** A sandbox for as long as `body` takes, whether it blocks or is async. An error of the body's is the one that is told. */
  static with<S extends typeof Sandbox, R>(this: S, options: SandboxOptions, body: (sandbox: InstanceType<S>) => R): R {
    const sandbox = this.begin(options) as InstanceType<S>;
    let result: R;
    try {
      result = body(sandbox);
    } catch (error) {
      sandbox[Symbol.dispose]();
      throw error;
    }
    if (isPromise(result)) return result.then(...thenDispose(sandbox)) as R;
    sandbox[Symbol.dispose]();
    return result;
  }

  /** Starts a command, as an argument list; for a shell's line give `['/bin/sh', '-c', line]`. */
  exec(command: readonly string[], options: ExecOptions = {}): Process {
    if (!Array.isArray(command) || command.length === 0 || command.some(word => typeof word !== 'string')) {
      throw invalid('command', 'is a list of words', "For a shell's line give ['/bin/sh', '-c', line].");
    }
    refuseUnknown(options, EXEC_OPTIONS, 'exec');
    const { id: sandboxId } = this;
    return new Process({ link: this.#link, sandboxId, processId: newProcessId(), command, options });
  }

  /** A shell on a terminal. */
  shell(options: ShellOptions = {}): Shell {
    refuseUnknown(options, SHELL_OPTIONS, 'shell');
    return new Shell(shellParts({ link: this.#link, sandboxId: this.id, processId: newProcessId() }, options));
  }

  readFile(path: string): OperationRef<Uint8Array>;
  readFile(path: string, options: { readonly encoding: TextEncoding }): OperationRef<string>;
  readFile(path: string, options?: { readonly encoding: TextEncoding }): OperationRef<Uint8Array | string> {
    return options ? this.files.read(path, options) : this.files.read(path);
  }

  writeFile(path: string, data: DataSource, options?: WriteOptions): OperationRef<void> {
    return this.files.write(path, data, options);
  }

  /** What its own command writes. */
  streamLogs(options: LogOptions = {}): LogReader {
    refuseUnknown(options, ['follow', 'tail'], 'streamLogs');
    const { tail = 0 } = options;
    if (!Number.isInteger(tail) || tail < 0) throw invalid('tail', 'is a number of lines');
    return new LogReader(this.#link, this.id, `pr-${this.id.slice('sb-'.length)}`, options);
  }

  /** Its files as they are now, as an image: its UUID. The sandbox goes on. */
  snapshot({ tag }: { readonly tag?: string } = {}): OperationRef<string> {
    return this.#ask('snapshot', 'snapshot', tag === undefined ? {} : { tag }, result => {
      return (result as { readonly image: string }).image;
    });
  }

  /** Until it runs, or did. */
  wait(): OperationRef<void> {
    return this.#ask(
      'wait',
      'wait_sandbox',
      { until: 'running' },
      view => void this.#seen((view as SandboxView).status),
    );
  }

  /** Until it is over: the exit code of its own command, null when it had none or was stopped. */
  waitUntilComplete(): OperationRef<number | null> {
    return this.#ask('waitUntilComplete', 'wait_sandbox', { until: 'over' }, result => {
      const view = result as SandboxView;
      this.#seen(view.status);
      return view.exit_code;
    });
  }

  /** As the engine knows it now. */
  getStatus(): OperationRef<SandboxStatus> {
    return this.#ask('getStatus', 'get_sandbox', {}, view => this.#seen((view as SandboxView).status));
  }

  /** As last heard of. */
  get status(): SandboxStatus {
    return this.#status;
  }

  /** One stop for all who ask; over when the sandbox is. */
  stop(): OperationRef<void> {
    if (!this.#stopping || this.#stopping.state === 'failed') {
      this.#stopping = this.#ask('stop', 'stop_sandbox', {}, view => {
        this.#link.owns(this.id, false);
        this.#seen((view as SandboxView).status);
      });
    }
    return this.#stopping;
  }

  /** Stops it and waits for that where that is allowed. Never throws: a failure is a warning. */
  [Symbol.dispose](): void {
    const stop = this.stop();
    if (!this.#link.blocking) {
      stop.then(undefined, error => this.#warn(error));
      return;
    }
    try {
      stop.get({ timeoutMs: DISPOSE_MS });
    } catch (error) {
      this.#warn(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    process.emitWarning(`sandbox ${this.id} was not stopped: ${(error as Error).message}`, 'CoppiceWarning');
  }

  /** What is told late never takes back what was told before. */
  #seen(status: SandboxStatus): SandboxStatus {
    if (RANK[status] > RANK[this.#status]) this.#status = status;
    return this.#status;
  }

  #ask<T>(what: string, verb: VerbName, input: object, map: (result: unknown) => T): OperationRef<T> {
    const about: RefAbout = { link: this.#link, what, sandboxId: this.id };
    return OperationRef.job(about, 'verb', { verb, input: { sandbox_id: this.id, ...input }, sandbox: this.id }, map);
  }
}

const RANK: Readonly<Record<SandboxStatus, number>> = {
  pending: 0,
  creating: 1,
  running: 2,
  terminating: 3,
  completed: 4,
  failed: 4,
  terminated: 4,
};

const newProcessId = (): string => `pr-${randomBytes(8).toString('hex')}`;

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';
}

function thenDispose(sandbox: Sandbox): [(value: unknown) => Promise<unknown>, (error: unknown) => Promise<never>] {
  return [
    async value => {
      await sandbox[Symbol.asyncDispose]();
      return value;
    },
    async error => {
      await sandbox[Symbol.asyncDispose]();
      throw error;
    },
  ];
}

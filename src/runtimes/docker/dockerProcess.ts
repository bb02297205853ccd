import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoppiceError, toWireError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { ProcessExit, ProcessSpec, RuntimeProcess } from '../runtime.ts';
import { attached } from './attach.ts';
import { Output } from './output.ts';
import { signalName, signalNumber } from './signals.ts';

/** What both kinds of processes have in common: output, input, listeners, an end. */
abstract class AttachedProcess implements RuntimeProcess {
  readonly id: string;
  readonly exited: Promise<ProcessExit>;
  readonly #end = Promise.withResolvers<ProcessExit>();
  readonly #lengths = new Map<StreamName, number>();
  readonly #listeners: ((stream: StreamName, length: number) => void)[] = [];
  protected input: Duplex | undefined;
  protected over = false;

  constructor(id: string) {
    this.id = id;
    this.exited = this.#end.promise;
    // Whoever asks is told; a process nobody waits for must not end the engine.
    this.exited.catch(() => undefined);
  }

  protected output(spec: ProcessSpec | undefined, again = false): Output {
    const terminal = spec?.tty !== undefined;
    return new Output(spec?.spool, { terminal, again }, (stream, length) => {
      this.#lengths.set(stream, length);
      for (const listener of this.#listeners) listener(stream, length);
    });
  }

  protected settle(end: Promise<ProcessExit>): void {
    end.then(
      exit => {
        this.over = true;
        this.#end.resolve(exit);
      },
      error => {
        this.over = true;
        this.#end.reject(error);
      },
    );
  }

  /** What came before anybody listened is told at once: a quick command prints before its start is answered. */
  onOutput(listener: (stream: StreamName, length: number) => void): void {
    this.#listeners.push(listener);
    for (const [stream, length] of this.#lengths) listener(stream, length);
  }

  async writeStdin(bytes: Buffer): Promise<void> {
    const { input } = this;
    if (!input?.writable) throw notOpen(this.id);
    if (input.write(bytes)) return;
    await new Promise<void>(resolve => {
      const go = () => {
        input.off('drain', go);
        input.off('close', go);
        resolve();
      };
      input.on('drain', go);
      input.on('close', go);
    });
  }

  async closeStdin(): Promise<void> {
    this.input?.end();
  }

  abstract kill(signal: string): Promise<void>;
  abstract resize(cols: number, rows: number): Promise<void>;
}

const lookMs = 5_000;
/** The end of the output and the word of the exit come one after the other. */
const graceMs = 400;

export interface MainParts {
  readonly id: string;
  readonly container: Docker.Container;
  readonly spec: ProcessSpec | undefined;
  /** Resolves when the daemon can be asked again, rejects when it stays away. */
  readonly back: () => Promise<unknown>;
}

/** A container's first process: its end is the container's. */
export class MainProcess extends AttachedProcess {
  readonly #parts: MainParts;

  constructor(parts: MainParts) {
    super(parts.id);
    this.#parts = parts;
  }

  /** Listens first, so that nothing is missed. */
  async start(): Promise<void> {
    const { container, spec } = this.#parts;
    const output = this.output(spec);
    const abort = new AbortController();
    try {
      const stream = spec && (await attached(container, { stdin: spec.stdin.kind !== 'none', output: true }));
      if (stream) output.drain(stream);
      if (stream && spec.stdin.kind !== 'none') this.input = stream;
      const waiting = container.wait({ condition: 'next-exit', abortSignal: abort.signal });
      waiting.catch(() => undefined);
      await container.start();
      this.settle(this.#end(waiting, output));
      if (spec?.tty) await this.resize(spec.tty.cols, spec.tty.rows).catch(() => undefined);
      if (stream && spec.stdin.kind === 'bytes') stream.end(spec.stdin.bytes);
    } catch (error) {
      abort.abort();
      this.input?.destroy();
      await output.finish();
      throw startError(error, container, spec);
    }
  }

  /** After an engine's restart: what was written meanwhile is in the daemon's log. */
  async resume(): Promise<void> {
    const { container, spec } = this.#parts;
    const output = this.output(spec, true);
    const waiting = container.wait();
    waiting.catch(() => undefined);
    output.drain(await logsOf(container));
    this.settle(this.#end(waiting, output, true));
  }

  async #end(waiting: Promise<unknown>, output: Output, resumed = false): Promise<ProcessExit> {
    const { container, spec, back } = this.#parts;
    let last = output;
    let again = resumed;
    for (let wait = waiting; ; ) {
      const over = new AbortController();
      try {
        await Promise.race([wait, this.#seenOver(last, over.signal)]);
        break;
      } catch {
        await last.finish();
        await back();
        const state = await stateOf(container);
        last = this.output(spec, true);
        again = true;
        last.drain(await logsOf(container));
        if (!state.Running) break;
        wait = container.wait();
        wait.catch(() => undefined);
      } finally {
        over.abort();
      }
    }
    let written = await last.finish();
    if (again) written = await this.#rest();
    const state = await stateOf(container);
    return {
      exitCode: state.ExitCode,
      signal: signalName(state.ExitCode),
      oom: state.OOMKilled === true,
      resources: { cpuMs: null, maxRss: null },
      output: written,
    };
  }

  /** A daemon that dies leaves who waits for its answer waiting: so it is also looked, at once when the output breaks off. */
  async #seenOver(output: Output, over: AbortSignal): Promise<void> {
    for (let drained = output.drained; ; ) {
      const broken = await Promise.race([
        pause(lookMs, false, { ref: false }),
        ...(drained ? [drained.then(() => true)] : []),
      ]);
      if (broken) {
        drained = undefined;
        await pause(graceMs, undefined, { ref: false });
      }
      if (over.aborted || !(await stateOf(this.#parts.container)).Running) return;
    }
  }

  /** Who follows a log may miss its end: what is in it when all is over is the whole. */
  async #rest(): Promise<ProcessExit['output']> {
    const { container, spec } = this.#parts;
    const output = this.output(spec, true);
    output.drain(await logsOf(container));
    return output.finish();
  }

  async kill(signal: string): Promise<void> {
    signalNumber(signal);
    await unlessOver(this.#parts.container.kill({ signal }));
  }

  async resize(cols: number, rows: number): Promise<void> {
    if (this.#parts.spec?.tty) await unlessOver(this.#parts.container.resize({ w: cols, h: rows }));
  }
}

async function stateOf(container: Docker.Container): Promise<Docker.ContainerInspectInfo['State']> {
  try {
    return (await container.inspect()).State;
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== 404) throw error;
    throw new CoppiceError('interrupted', 'the container was removed while it ran', { fix: 'Run it again.' });
  }
}

/** From its first byte: what is in the spool already is passed over. */
async function logsOf(container: Docker.Container): Promise<Duplex> {
  return (await container.logs({ stdout: true, stderr: true, follow: true })) as unknown as Duplex;
}

export interface ExecParts {
  readonly id: string;
  readonly sandbox: string;
  readonly container: Docker.Container;
  readonly spec: ProcessSpec;
  /** Sends a signal to what carries this word in its environment; answers whether it met any. */
  readonly signal: (number: number, word: string, user: string | undefined) => Promise<boolean>;
  readonly understood: (error: unknown) => Promise<unknown>;
}

const firstLookMs = 40;
const lastLookMs = 1_000;

/** One more process in a living container. The daemon has no way to signal one: a program of ours does it from inside. */
export class ExecProcess extends AttachedProcess {
  readonly #parts: ExecParts;
  #exec: Docker.Exec | undefined;

  constructor(parts: ExecParts) {
    super(parts.id);
    this.#parts = parts;
  }

  get #word(): string {
    return `COPPICE_PROCESS=${this.id}`;
  }

  async start(): Promise<void> {
    const { container, spec } = this.#parts;
    const output = this.output(spec);
    const hasInput = spec.stdin.kind !== 'none';
    try {
      this.#exec = await container.exec({
        Cmd: [...spec.args],
        Env: [...Object.entries(spec.env).map(([name, value]) => `${name}=${value}`), this.#word],
        WorkingDir: spec.cwd,
        ...(spec.user === undefined ? {} : { User: spec.user }),
        AttachStdin: hasInput,
        AttachStdout: true,
        AttachStderr: true,
        Tty: spec.tty !== undefined,
      });
      const stream = (await this.#exec.start({ hijack: true, stdin: hasInput, Tty: spec.tty !== undefined })) as Duplex;
      output.drain(stream);
      if (hasInput) this.input = stream;
      this.settle(this.#end(this.#exec, stream, output));
      if (spec.tty) await this.resize(spec.tty.cols, spec.tty.rows).catch(() => undefined);
      if (spec.stdin.kind === 'bytes') stream.end(spec.stdin.bytes);
    } catch (error) {
      output.close();
      throw startError(await this.#parts.understood(error), container, spec);
    }
  }

  /** Its stream ends with the last process that holds it; whether it has ended itself is looked for. */
  async #end(exec: Docker.Exec, stream: Duplex, output: Output): Promise<ProcessExit> {
    let closed = false;
    const closing = new Promise<void>(resolve => {
      const end = () => {
        closed = true;
        resolve();
      };
      stream.once('end', end);
      stream.once('close', end);
    });
    let info: Docker.ExecInspectInfo;
    for (let wait = firstLookMs; ; wait = Math.min(lastLookMs, wait * 1.5)) {
      await (closed ? pause(5) : Promise.race([closing, pause(wait, undefined, { ref: false })]));
      info = await this.#look(exec);
      if (!info.Running) break;
    }
    const written = await output.finish();
    const exitCode = info.ExitCode ?? 137;
    if ((exitCode === 126 || exitCode === 127) && !info.Pid) throw this.#notStarted();
    return {
      exitCode,
      signal: signalName(exitCode),
      oom: false,
      resources: { cpuMs: null, maxRss: null },
      output: written,
    };
  }

  /** A container that is gone took its processes with it. */
  async #look(exec: Docker.Exec): Promise<Docker.ExecInspectInfo> {
    try {
      return await exec.inspect();
    } catch (error) {
      const understood = await this.#parts.understood(error);
      if ((understood as { statusCode?: number }).statusCode === 404)
        return { Running: false, ExitCode: 137, Pid: 1 } as Docker.ExecInspectInfo;
      throw new CoppiceError(
        'interrupted',
        `what became of the process cannot be told: ${toWireError(understood).message}`,
        {
          fix: 'Run it again.',
        },
      );
    }
  }

  #notStarted(): CoppiceError {
    return new CoppiceError(
      'command_not_started',
      `the command ${JSON.stringify(this.#parts.spec.args[0])} of ${this.#parts.sandbox} could not be started`,
      { fix: 'Check that program, user and folder exist in the image, and that the program is executable.' },
    );
  }

  /** One that is being started may not have its environment yet. */
  async kill(signal: string): Promise<void> {
    const number = signalNumber(signal);
    for (let attempt = 0; attempt < 10 && !this.over; attempt++) {
      if (await this.#parts.signal(number, this.#word, this.#parts.spec.user)) return;
      await pause(50);
    }
  }

  async resize(cols: number, rows: number): Promise<void> {
    if (this.#parts.spec.tty && this.#exec) await unlessOver(this.#exec.resize({ w: cols, h: rows }));
  }
}

/** A process may end between the look at it and what is asked of it. Podman says 201 where Docker says 200. */
async function unlessOver(asked: Promise<unknown>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    const { statusCode } = error as { statusCode?: number };
    if (
      statusCode !== 201 &&
      statusCode !== 404 &&
      statusCode !== 409 &&
      !/not running|already (stopped|exited)/.test(String(error))
    )
      throw error;
  }
}

/** The daemon says in words what kept a command from starting. */
export function startError(error: unknown, container: Docker.Container, spec: ProcessSpec | undefined): unknown {
  const message = (error as { json?: { message?: string } }).json?.message ?? (error as Error).message ?? String(error);
  if (error instanceof CoppiceError) return error;
  if (
    /executable file|no such file or directory|permission denied|exec format error|unable to find user|no matching entries|chdir to cwd|not a directory|is a directory|unable to find group|workdir/i.test(
      message,
    )
  )
    return new CoppiceError('command_not_started', `the command could not be started: ${reasonIn(message)}`, {
      fix: 'Check that program, user and folder exist in the image, and that the program is executable.',
      data: { container: container.id.slice(0, 12), program: spec?.args[0] ?? '' },
    });
  return error;
}

const reasonIn = (message: string): string =>
  message.replace(/^.*?(exec: |unable to start container process: )/s, '').trim();

function notOpen(id: string): CoppiceError {
  return new CoppiceError('conflict', `the input of process ${id} is not open`, {
    fix: 'Start the process with an open stdin to write to it.',
  });
}

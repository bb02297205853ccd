import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import type { ProcessExit, ProcessSpec, RuntimeProcess } from '../runtime.ts';
import { attached } from './attach.ts';
import { Output } from './output.ts';
import { signalName, signalNumber } from './signals.ts';

/** What both kinds of processes have in common: output, input, listeners, an end. */
export abstract class AttachedProcess implements RuntimeProcess {
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

export const isRunning = (container: Docker.Container): Promise<boolean> =>
  stateOf(container).then(
    ({ Running }) => Running,
    () => false,
  );

/** From its first byte: what is in the spool already is passed over. */
async function logsOf(container: Docker.Container): Promise<Duplex> {
  return (await container.logs({ stdout: true, stderr: true, follow: true })) as unknown as Duplex;
}

/** A process may end between the look at it and what is asked of it. Podman says 201 where Docker says 200. */
export async function unlessOver(asked: Promise<unknown>): Promise<void> {
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

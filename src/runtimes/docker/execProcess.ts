import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type Docker from 'dockerode';
import { CoppiceError, toWireError } from '../../protocol/errors.ts';
import type { ProcessExit, ProcessSpec } from '../runtime.ts';
import { AttachedProcess, isRunning, startError, unlessOver } from './dockerProcess.ts';
import type { Output } from './output.ts';
import { signalName, signalNumber } from './signals.ts';

export interface ExecParts {
  readonly id: string;
  readonly sandbox: string;
  readonly container: Docker.Container;
  readonly spec: ProcessSpec;
  /** Sends a signal to what carries this word in its environment; answers whether it met any. */
  readonly signal: (number: number, word: string, user: string | undefined) => Promise<boolean>;
  readonly understood: (error: unknown) => Promise<unknown>;
  /** Resolves when the daemon can be asked again, rejects when it stays away. */
  readonly back: () => Promise<unknown>;
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
    try {
      // Output that was closed is mostly the end, but may be a process that goes on in silence.
      for (let wait = firstLookMs, soon = 5; ; wait = Math.min(lastLookMs, wait * 1.5)) {
        await (closed ? pause(soon) : Promise.race([closing, pause(wait, undefined, { ref: false })]));
        info = await this.#look(exec);
        if (!info.Running) break;
        if (closed) soon = Math.min(lastLookMs, soon * 1.5);
      }
    } catch (error) {
      await output.finish();
      throw error;
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

  async #look(exec: Docker.Exec): Promise<Docker.ExecInspectInfo> {
    try {
      return await exec.inspect();
    } catch (error) {
      const understood = await this.#parts.understood(error);
      const unknown = (understood as { statusCode?: number }).statusCode === 404;
      // A container that is gone took its processes with it.
      if (unknown && !(await isRunning(this.#parts.container)))
        return { Running: false, ExitCode: 137, Pid: 1 } as Docker.ExecInspectInfo;
      throw await this.#cutOff(understood);
    }
  }

  /** What it prints from now on nobody would ever read: so it ends, too. */
  async #cutOff(cause: unknown): Promise<CoppiceError> {
    const { back, signal, spec } = this.#parts;
    let more = 'and was ended';
    try {
      await back();
      await signal(signalNumber('SIGKILL'), this.#word, spec.user);
    } catch (error) {
      more = `and what became of it cannot be told: ${toWireError(error).message}`;
    }
    return new CoppiceError('interrupted', `process ${this.id} lost its daemon while it ran, ${more}`, {
      fix: 'Run it again.',
      cause,
    });
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

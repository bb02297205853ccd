import {
  asSandboxError,
  invalid,
  OperationCancelledError,
  type SandboxError,
  SandboxExecutionError,
  SandboxTimeoutError,
} from './errors.ts';
import type { JobResult } from './jobs/jobs.ts';
import type { Link, StartedJob } from './link.ts';
import { OperationRef, type RefAbout, type Settled } from './operationRef.ts';
import { ProcessResult } from './processResult.ts';
import { Chunks, eachPiece, StreamReader } from './streamReader.ts';
import { bytesOf, type DataSource, feed, isWhole, needsLoop, StreamWriter } from './streamWriter.ts';

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  /** true: an exit code other than 0 is `SandboxExecutionError`. */
  readonly check?: boolean;
  /** From its start; then it is killed with all it started, and `SandboxTimeoutError` has what it wrote. Default: none. */
  readonly timeoutMs?: number;
  /** Its input; true: open, written through `process.stdin`. Default: none. */
  readonly stdin?: DataSource | true;
  /** Aborting kills it. Signals fire by this thread's loop, so not while it is held in `.get()`. */
  readonly signal?: AbortSignal;
  /** Called with what it writes, as it comes; characters are never cut. Inside it `.get()` is refused. */
  readonly onStdout?: (text: string) => void;
  readonly onStderr?: (text: string) => void;
}

/** @internal */
export const EXEC_OPTIONS: readonly (keyof ExecOptions)[] = [
  'cwd',
  'env',
  'user',
  'check',
  'timeoutMs',
  'stdin',
  'signal',
  'onStdout',
  'onStderr',
];

/** @internal */
export interface ProcessParts {
  readonly link: Link;
  readonly sandboxId: string;
  readonly processId: string;
  readonly command: readonly string[];
  readonly options: ExecOptions;
  readonly terminal?: { readonly cols: number; readonly rows: number };
}

/** One command in a sandbox: begun when it was asked for, its result by `.get()` or `await`, its output as it comes. */
export class Process extends OperationRef<ProcessResult> {
  readonly id: string;
  readonly command: readonly string[];
  readonly stdout: StreamReader;
  readonly stderr: StreamReader;
  readonly stdin: StreamWriter;
  readonly #parts: ProcessParts;
  readonly #exit: OperationRef<ProcessResult>;

  /** @internal Made by `sandbox.exec`. */
  constructor(parts: ProcessParts) {
    const run = new Run(parts);
    super({ ...run.about, begin: settle => run.begin(settle), needsLoop: () => run.needsLoop() });
    this.id = parts.processId;
    this.command = parts.command;
    this.#parts = parts;
    this.#exit = run.exit;
    this.stdout = run.reader('stdout');
    this.stderr = run.reader('stderr');
    this.stdin = new StreamWriter((bytes, last) => {
      if (parts.options.stdin === true) return run.write(bytes, last);
      throw invalid('stdin', `of ${parts.command[0]} is not open`, 'Start it with stdin: true to write to it.');
    });
  }

  /** Its exit code when it has ended, else undefined; never blocks. */
  poll(): number | undefined {
    if (!this.#exit.done) return undefined;
    let code: number | undefined;
    this.#exit.whenSettled(outcome => {
      if ('value' in outcome) code = outcome.value.returncode;
    });
    return code;
  }

  get returncode(): number | undefined {
    return this.poll();
  }

  /** Its exit code, whatever it is. */
  wait(): OperationRef<number> {
    return new OperationRef<number>({
      ...this.#about('wait'),
      begin: settle => {
        this.#exit.whenSettled(outcome =>
          settle('value' in outcome ? { value: outcome.value.returncode } : { error: outcome.error }),
        );
        return { cancel: () => undefined, hold: () => this.#exit.hold() };
      },
    });
  }

  /** One that has ended is left as it is. SIGKILL takes what it started with it. */
  kill(signal = 'SIGTERM'): OperationRef<void> {
    return this.#ask('kill', 'kill_process', { process_id: this.id, signal });
  }

  /** @internal */
  protected resizeTerminal(cols: number, rows: number): OperationRef<void> {
    return this.#ask('resize', 'resize', { process_id: this.id, cols, rows });
  }

  #about(what: string): RefAbout {
    return { link: this.#parts.link, what, sandboxId: this.#parts.sandboxId };
  }

  #ask(what: string, verb: 'kill_process' | 'resize', input: object): OperationRef<void> {
    return OperationRef.job(
      this.#about(what),
      'verb',
      { verb, input, sandbox: this.#parts.sandboxId },
      () => undefined,
    );
  }
}

/** How a process goes: its job, its input, its callbacks. Together they make the result. */
class Run {
  readonly about: RefAbout;
  readonly #parts: ProcessParts;
  #job: OperationRef<ProcessResult> | undefined;
  #feeding = false;
  readonly #stops: StartedJob[] = [];

  constructor(parts: ProcessParts) {
    this.#parts = parts;
    this.about = { link: parts.link, what: `exec ${parts.command[0]}`, sandboxId: parts.sandboxId };
  }

  get exit(): OperationRef<ProcessResult> {
    return this.#job!;
  }

  begin(settle: (outcome: Settled<ProcessResult>) => void): StartedJob {
    const { options, command } = this.#parts;
    const exit = OperationRef.job(this.about, 'exec', { input: this.#input(), stdin: this.#wholeInput() }, result =>
      ended(result, command),
    );
    this.#job = exit;
    const fail = (error: SandboxError) => {
      settle({ error });
      exit.cancel();
    };
    const abandon = () => {
      for (const stop of this.#stops) stop.cancel();
      exit.cancel();
    };
    this.#feed(fail);
    const pumps = this.#pump(fail);
    exit.whenSettled(outcome => pumps.whenDone(() => settle(this.#judged(outcome))));
    this.#obey(options.signal, () => fail(asCancelled(options.signal, this.about)));
    return { cancel: abandon, hold: () => exit.hold() };
  }

  #input() {
    const { options, command, sandboxId, processId, terminal } = this.#parts;
    const { cwd, env, user, timeoutMs, stdin } = options;
    return {
      sandbox_id: sandboxId,
      process_id: processId,
      command: [...command],
      stdin: stdin === undefined ? ('none' as const) : ('open' as const),
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(user === undefined ? {} : { user }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs / 1000 }),
      ...(terminal === undefined ? {} : { tty: terminal }),
    };
  }

  #wholeInput(): Uint8Array | undefined {
    const { stdin } = this.#parts.options;
    return stdin !== undefined && stdin !== true && isWhole(stdin) ? bytesOf(stdin) : undefined;
  }

  needsLoop(): string | undefined {
    return this.#feeding ? 'its input comes from an async iterable, which needs this thread' : undefined;
  }

  write(bytes: Uint8Array, close: boolean): OperationRef<void> {
    const { link, sandboxId, processId } = this.#parts;
    return OperationRef.job(
      { link, what: 'stdin', sandboxId },
      'stdin',
      { process: processId, bytes, close },
      () => undefined,
    );
  }

  reader(stream: 'stdout' | 'stderr'): StreamReader {
    return new StreamReader({ ...this.about, what: stream }, offset => this.#piece(stream, offset));
  }

  #piece(stream: 'stdout' | 'stderr', offset: number) {
    const { link, sandboxId, processId } = this.#parts;
    const params = { process: processId, stream, offset };
    return OperationRef.job({ link, what: stream, sandboxId }, 'output', params, piece => piece);
  }

  /** A process that ends before it has read all is no failure; a source that fails is one. */
  #feed(fail: (error: SandboxError) => void): void {
    const { stdin } = this.#parts.options;
    if (stdin === undefined || stdin === true || isWhole(stdin)) return;
    this.#feeding = needsLoop(stdin);
    feed(
      stdin,
      (bytes, last) => this.write(bytes, last),
      failure => {
        this.#feeding = false;
        if (failure && failure.code !== 'conflict' && failure.code !== 'cancelled') fail(failure);
      },
    );
  }

  /** Callbacks get everything before the result does. */
  #pump(fail: (error: SandboxError) => void): { whenDone(done: () => void): void } {
    const { onStdout, onStderr } = this.#parts.options;
    let open = 0;
    let finish: (() => void) | undefined;
    for (const [stream, callback] of [
      ['stdout', onStdout],
      ['stderr', onStderr],
    ] as const) {
      if (!callback) continue;
      open++;
      const chunks = new Chunks();
      const hand = (texts: readonly string[]) => {
        try {
          for (const text of texts) callback(text);
        } catch (error) {
          fail(asSandboxError(error));
        }
      };
      const stop = eachPiece(
        offset => this.#piece(stream, offset),
        bytes => hand(chunks.push(bytes)),
        () => {
          hand(chunks.end());
          open--;
          if (open === 0) finish?.();
        },
      );
      this.#stops.push(stop);
    }
    return {
      whenDone: done => {
        if (open === 0) done();
        else finish = done;
      },
    };
  }

  #obey(signal: AbortSignal | undefined, abort: () => void): void {
    if (!signal) return;
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    this.exit.whenSettled(() => signal.removeEventListener('abort', abort));
  }

  #judged(outcome: Settled<ProcessResult>): Settled<ProcessResult> {
    const { options, command, sandboxId } = this.#parts;
    if ('error' in outcome) return outcome;
    const { value } = outcome;
    if (value instanceof TimedOutResult) {
      const message = `${command[0]} did not end within ${options.timeoutMs} ms and was killed`;
      return { error: new SandboxTimeoutError(message, value, { sandboxId, fix: 'Give a larger timeoutMs.' }) };
    }
    if (!options.check || value.ok) return outcome;
    const last = value.stderr.trim().split('\n').at(-1);
    const message = `${command[0]} ended with exit code ${value.returncode}${last ? `: ${last.slice(0, 500)}` : ''}`;
    return { error: new SandboxExecutionError(message, value, { sandboxId }) };
  }
}

class TimedOutResult extends ProcessResult {}

function ended({ view, stdout, stderr, truncated }: JobResult<'exec'>, command: readonly string[]): ProcessResult {
  const Result = view.timed_out ? TimedOutResult : ProcessResult;
  return new Result({
    stdoutBytes: stdout,
    stderrBytes: stderr,
    returncode: view.exit_code!,
    signal: view.signal,
    truncated,
    command,
    durationMs: view.duration_ms ?? 0,
  });
}

function asCancelled(signal: AbortSignal | undefined, { what, sandboxId }: Run['about']): SandboxError {
  return new OperationCancelledError('cancelled', `${what} was cancelled`, { sandboxId, cause: signal?.reason });
}

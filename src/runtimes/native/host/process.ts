import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import path from 'node:path';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { ProcessExit } from '../../runtime.ts';
import { type ProcessName, type StartProcess, spoolName } from '../hostApi.ts';
import { OutputSpool } from './outputSpool.ts';
import { inboxPath } from './paths.ts';
import type { Pipes } from './pipes.ts';

export interface Launch {
  readonly name: ProcessName;
  /** The OCI runtime and its arguments. */
  readonly command: readonly string[];
  /** Where the runtime writes the pid and its own complaints, never mixed with the process's output. */
  readonly pidFile: string;
  readonly logFile: string;
  readonly start: Pick<StartProcess, 'stdin' | 'tty' | 'cap'>;
  /** Folder for this process's own files, as its input. */
  readonly folder: string;
  /** Called with the launcher's pid before anything of the sandbox runs. */
  readonly confine?: ((pid: number) => void) | undefined;
}

export type ProcessEnd = Pick<ProcessExit, 'exitCode' | 'signal' | 'output'>;

/** Left by processes that outlive an exec'd command and hold on to its output. */
const lingerMs = 100;
const reportMs = 5;

/** One process of a sandbox: the OCI runtime's foreground command, its pipes, and its end. */
export class ContainerProcess {
  readonly name: ProcessName;
  readonly ended: Promise<ProcessEnd>;
  readonly #launch: Launch;
  readonly #child: ChildProcess;
  readonly #stdin: Socket | undefined;
  #pid: number | undefined;
  #exited = false;

  static async start(
    launch: Launch,
    pipes: Pipes,
    onOutput: (stdout: number, stderr: number) => void,
  ): Promise<ContainerProcess> {
    const stdin = await inputFor(launch, pipes);
    const [stdout, stderr] = await Promise.all([pipes.output(), pipes.output()]);
    const fds = [stdin.childFd, stdout.childFd, stderr.childFd];
    try {
      const spools = {
        stdout: new OutputSpool(path.join(inboxPath, spoolName(launch.name, 'stdout')), launch.start.cap),
        stderr: new OutputSpool(path.join(inboxPath, spoolName(launch.name, 'stderr')), launch.start.cap),
      };
      const [command, ...args] = commandLine(launch);
      const child = spawn(command!, args, {
        stdio: fds as [number, number, number],
        env: environment(launch),
        cwd: '/',
      });
      return new ContainerProcess(
        launch,
        child,
        stdin.socket,
        { stdout: stdout.socket, stderr: stderr.socket },
        spools,
        onOutput,
      );
    } finally {
      for (const fd of fds) closeSync(fd);
    }
  }

  private constructor(
    launch: Launch,
    child: ChildProcess,
    stdin: Socket | undefined,
    pipes: { readonly stdout: Socket; readonly stderr: Socket },
    spools: { readonly stdout: OutputSpool; readonly stderr: OutputSpool },
    onOutput: (stdout: number, stderr: number) => void,
  ) {
    this.name = launch.name;
    this.#launch = launch;
    this.#child = child;
    this.#stdin = stdin;
    // The reader of our pipe is gone: the process ended, and that is told by its exit.
    stdin?.on('error', () => stdin.destroy());
    const report = coalesced(reportMs, () => onOutput(spools.stdout.length, spools.stderr.length));
    const drained = Promise.all([spools.stdout.drain(pipes.stdout, report), spools.stderr.drain(pipes.stderr, report)]);
    this.ended = this.#end(drained, pipes, spools);
  }

  /** Of the process itself, in the host's pid namespace; undefined until it was made. */
  get pid(): number | undefined {
    if (this.#exited) return undefined;
    this.#pid ??= readPid(this.#launch.pidFile);
    return this.#pid;
  }

  async writeStdin(bytes: Buffer): Promise<void> {
    const stdin = this.#stdin;
    if (!stdin?.writable) throw notOpen(this.name);
    if (!stdin.write(bytes)) {
      await new Promise<void>(resolve => {
        const go = () => {
          stdin.off('drain', go);
          stdin.off('close', go);
          resolve();
        };
        stdin.on('drain', go);
        stdin.on('close', go);
      });
    }
  }

  closeStdin(): void {
    this.#stdin?.end();
  }

  /** To the process and what it started in its own group, as a terminal would. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    const pid = await this.#whenMade();
    if (pid === undefined) return;
    if (!sendSignal(-pid, signal)) sendSignal(pid, signal);
  }

  /** SIGKILL, whatever state it is in. For a main process the kernel ends everything in its pid namespace with it. */
  async destroy(): Promise<void> {
    const pid = await this.#whenMade();
    if (this.#exited) return;
    if (pid !== undefined) sendSignal(pid, 'SIGKILL');
    else this.#child.kill('SIGKILL');
  }

  async resize(cols: number, rows: number): Promise<void> {
    const terminal = this.#launch.start.tty && terminalOf(this.#child.pid);
    if (!terminal) return;
    const stty = spawn('stty', ['-F', terminal, 'rows', String(rows), 'cols', String(cols)], { stdio: 'ignore' });
    await new Promise<void>(resolve => {
      stty.on('exit', () => resolve());
      stty.on('error', () => resolve());
    });
  }

  async #whenMade(): Promise<number | undefined> {
    for (let waited = 0; waited < 2000 && !this.#exited; waited += 5) {
      if (this.pid !== undefined) return this.pid;
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    return undefined;
  }

  async #end(
    drained: Promise<unknown>,
    pipes: { readonly stdout: Socket; readonly stderr: Socket },
    spools: { readonly stdout: OutputSpool; readonly stderr: OutputSpool },
  ): Promise<ProcessEnd> {
    const end = await childEnd(this.#child);
    // The launcher was killed over its container's head: end that too.
    if (end.signal !== null) {
      const orphan = this.pid;
      if (orphan !== undefined) sendSignal(orphan, 'SIGKILL');
    }
    this.#exited = true;
    this.#stdin?.destroy();
    await lastOutput(drained, pipes, spools);
    const output = { stdout: spools.stdout.close(), stderr: spools.stderr.close() };
    if (end.error) throw end.error;
    const complaint = end.code === 0 ? undefined : readComplaint(this.#launch);
    if (complaint !== undefined) throw notStarted(this.name, complaint);
    const exitCode = end.code ?? 128 + signalNumber(end.signal ?? 'SIGKILL');
    return { exitCode, signal: signalName(exitCode), output };
  }
}

async function inputFor(
  launch: Launch,
  pipes: Pipes,
): Promise<{ readonly childFd: number; readonly socket: Socket | undefined }> {
  const { stdin } = launch.start;
  if (stdin.kind === 'open') return pipes.input();
  if (stdin.kind === 'none') return { childFd: openSync('/dev/null', 'r'), socket: undefined };
  const file = path.join(launch.folder, `${launch.name.process}.stdin`);
  writeFileSync(file, Buffer.from(stdin.base64, 'base64'), { mode: 0o600 });
  const childFd = openSync(file, 'r');
  rmSync(file);
  return { childFd, socket: undefined };
}

/** A terminal comes from script(1): the OCI runtime wants one, and Node cannot make one. Nothing variable is in its command. */
function commandLine(launch: Launch): readonly string[] {
  if (!launch.start.tty) return launch.command;
  return [
    'script',
    '-qefc',
    'stty rows "$COPPICE_ROWS" cols "$COPPICE_COLS"; eval exec "$COPPICE_COMMAND"',
    '/dev/null',
  ];
}

function environment(launch: Launch): NodeJS.ProcessEnv {
  const env = { PATH: process.env.PATH };
  const tty = launch.start.tty;
  if (!tty) return env;
  return {
    ...env,
    SHELL: '/bin/sh',
    COPPICE_ROWS: String(tty.rows),
    COPPICE_COLS: String(tty.cols),
    COPPICE_COMMAND: launch.command.map(quoted).join(' '),
  };
}

/** Only ids and paths of our own making come here; quoted all the same. */
function quoted(word: string): string {
  return `'${word.replace(/'/g, `'\\''`)}'`;
}

function childEnd(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null; error?: Error }> {
  return new Promise(resolve => {
    child.on('error', error => resolve({ code: null, signal: null, error }));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

/** The pipes end with the last process that holds them; one that stays behind quietly does not keep the result waiting. */
async function lastOutput(
  drained: Promise<unknown>,
  pipes: { readonly stdout: Socket; readonly stderr: Socket },
  spools: { readonly stdout: OutputSpool; readonly stderr: OutputSpool },
): Promise<void> {
  let done = false;
  const finished = drained.then(() => {
    done = true;
  });
  while (!done) {
    const before = spools.stdout.received + spools.stderr.received;
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<void>(resolve => {
      timer = setTimeout(resolve, lingerMs);
    });
    await Promise.race([finished, quiet]);
    clearTimeout(timer);
    if (spools.stdout.writing || spools.stderr.writing) continue;
    if (spools.stdout.received + spools.stderr.received === before) break;
  }
  pipes.stdout.destroy();
  pipes.stderr.destroy();
  await finished;
}

function coalesced(interval: number, report: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      report();
    }, interval);
  };
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function readComplaint(launch: Launch): string | undefined {
  try {
    const lines = readFileSync(launch.logFile, 'utf8').trim().split('\n').filter(Boolean);
    return lines.map(messageOf).join('; ') || undefined;
  } catch {
    return undefined;
  }
}

function messageOf(line: string): string {
  try {
    return String((JSON.parse(line) as { msg?: unknown }).msg ?? line);
  } catch {
    return line;
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

function terminalOf(pid: number | undefined): string | undefined {
  return pid === undefined ? undefined : undefined;
}

function signalNumber(signal: NodeJS.Signals): number {
  return osConstants.signals[signal];
}

/** By the shells' convention: a code above 128 is a signal's. */
function signalName(exitCode: number): string | undefined {
  if (exitCode <= 128) return undefined;
  const found = Object.entries(osConstants.signals).find(([, number]) => number === exitCode - 128);
  return found?.[0];
}

function notOpen(name: ProcessName): CoppiceError {
  return new CoppiceError('conflict', `the input of process ${name.process} in ${name.sandbox} is not open`, {
    fix: 'Start the process with an open stdin to write to it.',
  });
}

function notStarted(name: ProcessName, complaint: string): CoppiceError {
  return new CoppiceError('command_not_started', `the command of ${name.sandbox} could not be started: ${complaint}`, {
    fix: 'Check that the program exists in the image and is executable.',
    data: { sandbox: name.sandbox, process: name.process },
  });
}

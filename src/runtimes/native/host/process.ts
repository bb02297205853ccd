import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CoppiceError } from '../../../protocol/errors.ts';
import type { ProcessExit } from '../../runtime.ts';
import type { ProcessName } from '../hostApi.ts';
import { commandLine, type Launch, terminalOf } from './launch.ts';
import type { Child, Entry, Launcher, ProcessIdentity } from './launcher.ts';
import { containersPath } from './paths.ts';
import type { Pipes } from './pipes.ts';
import { type OutputListener, ProcessOutput } from './processOutput.ts';
import { killTree } from './processTree.ts';

export type ProcessEnd = Pick<ProcessExit, 'exitCode' | 'signal' | 'output'>;

/** Longer than the kernel takes to end what was killed, unless that waits for a disk. */
const orphanMs = 5000;

interface ProcessInput {
  readonly childFd: number;
  readonly socket: Socket | undefined;
}

/** One process of a sandbox: the OCI runtime's foreground command, its pipes, and its end. */
export class ContainerProcess {
  readonly name: ProcessName;
  readonly ended: Promise<ProcessEnd>;
  readonly #launch: Launch;
  readonly #child: Child;
  readonly #stdin: Socket | undefined;
  #pid: number | undefined;
  #identity: ProcessIdentity | undefined;
  #exited = false;

  /** Without `listener` there are no spools and output goes nowhere. */
  static async start(
    launch: Launch,
    { pipes, launcher }: { readonly pipes: Pipes; readonly launcher: Launcher },
    listener: OutputListener | undefined,
    entry?: Entry,
  ): Promise<ContainerProcess> {
    const output = listener
      ? await ProcessOutput.spooled(launch.name, launch.start.cap, pipes)
      : ProcessOutput.discarded();
    let input: ProcessInput;
    try {
      input = await inputFor(launch, pipes);
    } catch (error) {
      output.handedOver();
      output.abandon();
      throw error;
    }
    try {
      const stdio = [input.childFd, ...output.childFds] as const;
      const child = await (entry ? launcher.enter(entry, stdio) : launcher.start(commandLine(launch), stdio));
      if (listener) output.drain(listener);
      return new ContainerProcess(launch, child, entry && child.pid, input.socket, output);
    } catch (error) {
      output.abandon();
      input.socket?.destroy();
      throw error;
    } finally {
      closeSync(input.childFd);
      output.handedOver();
    }
  }

  private constructor(
    launch: Launch,
    child: Child,
    pid: number | undefined,
    stdin: Socket | undefined,
    output: ProcessOutput,
  ) {
    this.name = launch.name;
    this.#launch = launch;
    this.#child = child;
    this.#pid = pid;
    this.#stdin = stdin;
    // The reader of our pipe is gone: the process ended, and that is told by its exit.
    stdin?.on('error', () => stdin.destroy());
    this.ended = this.#end(output);
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
    if (!stdin.write(bytes)) await drainedOrClosed(stdin);
  }

  closeStdin(): void {
    this.#stdin?.end();
  }

  /** To the process alone; SIGKILL takes what it started with it, which nobody else would end. */
  async kill(signal: string): Promise<void> {
    if (!(signal in constants.signals)) {
      throw new CoppiceError('invalid_input', `there is no signal ${JSON.stringify(signal)}`, { field: 'signal' });
    }
    const pid = await this.#whenMade();
    if (pid === undefined || this.#exited) return;
    if (signal === 'SIGKILL') killTree(pid);
    else sendSignal(pid, signal as NodeJS.Signals);
  }

  /** SIGKILL, whatever state it is in. For a main process the kernel ends everything in its pid namespace with it. */
  async destroy(): Promise<void> {
    const pid = await this.#whenMade();
    if (this.#exited) return;
    if (pid !== undefined) sendSignal(pid, 'SIGKILL');
    else this.#child.kill();
  }

  async resize(cols: number, rows: number): Promise<void> {
    const pid = this.#launch.start.tty ? await this.#whenMade() : undefined;
    const terminal = pid && terminalOf(pid);
    if (!terminal) return;
    const stty = spawn('stty', ['-F', terminal, 'rows', String(rows), 'cols', String(cols)], { stdio: 'ignore' });
    await once(stty, 'close');
  }

  /** Who it is, once the command itself runs; undefined when it does not, or not any more. */
  async identity(): Promise<ProcessIdentity | undefined> {
    const pid = await this.whenRunning();
    if (pid !== undefined) this.#identity ??= identify(pid);
    return this.#exited ? undefined : this.#identity;
  }

  /** Its pid once the command itself runs; undefined when that never came to be. */
  async whenRunning(): Promise<number | undefined> {
    const pid = await this.#whenMade();
    const state = path.join(
      containersPath,
      this.name.sandbox,
      this.#launch.runtime === 'crun' ? 'status' : 'state.json',
    );
    for (let waited = 0; waited < 2000 && !this.#exited && !existsSync(state); waited += 2) await pause(2);
    return this.#exited ? undefined : pid;
  }

  async #whenMade(): Promise<number | undefined> {
    for (let waited = 0; waited < 2000 && !this.#exited; waited += 2) {
      if (this.pid !== undefined) return this.pid;
      await pause(2);
    }
    return undefined;
  }

  async #end(output: ProcessOutput): Promise<ProcessEnd> {
    const end = await this.#child.ended;
    // The launcher was killed over its container's head: end that too, and see it ended before its files are taken.
    const orphan = end.signal === null ? undefined : this.pid;
    if (orphan !== undefined) await killAndWait(orphan);
    this.#exited = true;
    this.#stdin?.destroy();
    const streams = await output.finish(end.signal === null);
    if (end.error) throw notStarted(this.name, end.error.message);
    const complaint = end.code === 0 ? undefined : readComplaint(this.#launch.logFile);
    if (complaint !== undefined) throw notStarted(this.name, complaint);
    const exitCode = end.code ?? 128 + constants.signals[end.signal ?? 'SIGKILL'];
    return { exitCode, signal: signalName(exitCode), output: streams };
  }
}

async function inputFor(launch: Launch, pipes: Pipes): Promise<ProcessInput> {
  const { stdin } = launch.start;
  // script(1) passes the end of its input on to the terminal, so a terminal nobody types on has an open one.
  if (stdin.kind === 'open' || (stdin.kind === 'none' && launch.start.tty)) return pipes.input();
  if (stdin.kind === 'none') return { childFd: openSync('/dev/null', 'r'), socket: undefined };
  const file = path.join(launch.folder, `${launch.name.process}.stdin`);
  writeFileSync(file, Buffer.from(stdin.base64, 'base64'), { mode: 0o600 });
  const childFd = openSync(file, 'r');
  rmSync(file);
  return { childFd, socket: undefined };
}

function drainedOrClosed(stdin: Socket): Promise<void> {
  return new Promise(resolve => {
    const go = () => {
      stdin.off('drain', go);
      stdin.off('close', go);
      resolve();
    };
    stdin.on('drain', go);
    stdin.on('close', go);
  });
}

/** Field 22 of its stat is when it was born; the name before may hold anything. */
function identify(pid: number): ProcessIdentity | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { pid, born: fields[19]! };
  } catch {
    return undefined; // It is gone.
  }
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    // Not written yet.
    return undefined;
  }
}

/** One JSON object a line; an error there means that the runtime gave up. */
function readComplaint(logFile: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(logFile, 'utf8');
  } catch {
    return undefined;
  }
  return text.trim().split('\n').filter(Boolean).flatMap(errorIn).join('; ') || undefined;
}

function errorIn(line: string): string[] {
  try {
    const { level, msg } = JSON.parse(line) as { level?: string; msg?: unknown };
    return level === undefined || /^(error|fatal)$/.test(level) ? [String(msg)] : [];
  } catch {
    return [line];
  }
}

/** To its process group when it leads one, else to it alone. A process that is gone needs no signal. */
function sendSignal(pid: number, signal: NodeJS.Signals): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** The kernel lets a pid namespace's first process go when all others in it are gone. */
async function killAndWait(pid: number): Promise<void> {
  sendSignal(pid, 'SIGKILL');
  for (let waited = 0; waited < orphanMs && existsSync(`/proc/${pid}`); waited += 5) await pause(5);
}

/** By the shells' convention: a code above 128 is a signal's. */
function signalName(exitCode: number): string | undefined {
  if (exitCode <= 128) return undefined;
  return Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
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

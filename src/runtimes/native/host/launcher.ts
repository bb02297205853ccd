import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Confinement, entering, servant } from './servant.ts';

/** A command, and the cgroups it enters before it is anything else. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Files it writes 0 to. */
  readonly entrances: readonly string[];
}

/** A command that goes straight into a living sandbox, confined as all there are. */
export interface Entry {
  /** The sandbox's first process. */
  readonly first: ProcessIdentity;
  readonly args: readonly string[];
  /** NAME=value each, and nothing but these. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  /** A bit a capability. */
  readonly permitted: number;
  /** As a command's. */
  readonly entrances: readonly string[];
  /** Where it is written why the command could not be started. */
  readonly complaints: string;
}

/** A number alone may be another's by now. */
export interface ProcessIdentity {
  readonly pid: number;
  /** As /proc tells it. */
  readonly born: string;
}

export interface Child {
  /** Of what was started: the OCI runtime, or the command itself where that was sent in directly. */
  readonly pid: number | undefined;
  readonly ended: Promise<ChildEnd>;
  kill(): void;
}

export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
}

/** Descriptors of this process for the child's stdin, stdout and stderr; they may be closed once `start` resolved. */
type Stdio = readonly [number, number, number];

export interface Launcher {
  start(command: Command, stdio: Stdio): Promise<Child>;
  /** false where a process gets into a living sandbox by the OCI runtime only. */
  readonly enters: boolean;
  enter(entry: Entry, stdio: Stdio): Promise<Child>;
}

export function perlPath(): string | undefined {
  return ['/usr/bin/perl', '/bin/perl', '/usr/local/bin/perl'].find(existsSync);
}

/** Without `confinement` every process is sent into its sandbox by the OCI runtime. */
export function makeLauncher(log: (line: string) => void, confinement: Confinement | undefined): Launcher {
  const perl = perlPath();
  return perl ? new PerlLauncher(perl, log, confinement && entering(confinement)) : new NodeLauncher();
}

const enterCgroups = 'for entrance in $COPPICE_CGROUPS; do echo 0 > "$entrance" || exit 125; done; exec "$@"';

/** Needs nothing, but Node forks all of itself for every child. */
export class NodeLauncher implements Launcher {
  async start({ command, args, env, entrances }: Command, stdio: Stdio): Promise<Child> {
    const options = { stdio: [...stdio], cwd: '/', env: { ...env, COPPICE_CGROUPS: entrances.join(' ') } };
    const child =
      entrances.length === 0
        ? spawn(command, args, { ...options, env })
        : spawn('/bin/sh', ['-c', enterCgroups, 'sh', command, ...args], options);
    return { pid: child.pid, ended: childEnd(child), kill: () => void child.kill('SIGKILL') };
  }

  readonly enters = false;

  async enter(): Promise<never> {
    throw new Error('Node cannot enter namespaces');
  }
}

interface Waiting {
  started(pid: number): void;
  refused(error: Error): void;
  ended(end: ChildEnd): void;
}

/** One small, long-lived Perl forks itself instead: a fraction of the time. */
class PerlLauncher implements Launcher {
  readonly #servant: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<string, Waiting>();
  readonly #fallback = new NodeLauncher();
  readonly #enters: boolean;
  #counter = 0;
  #alive = true;

  constructor(perl: string, log: (line: string) => void, entering: Record<string, string> | undefined) {
    this.#enters = entering !== undefined;
    this.#servant = spawn(perl, ['-e', servant], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH, ...entering },
    });
    createInterface({ input: this.#servant.stdout }).on('line', line => this.#told(line));
    const lost = (reason: string) => {
      this.#alive = false;
      log(`the launching process is gone: ${reason}`);
      for (const waiting of this.#waiting.values()) {
        waiting.refused(new Error(`the launching process is gone: ${reason}`));
        waiting.ended({ code: null, signal: 'SIGKILL' });
      }
      this.#waiting.clear();
    };
    this.#servant.on('error', error => lost(error.message));
    this.#servant.on('exit', code => lost(`it ended with code ${code}`));
    this.#servant.stdin.on('error', error => lost(error.message));
  }

  start(command: Command, stdio: Stdio): Promise<Child> {
    if (!this.#alive) return this.#fallback.start(command, stdio);
    const values = Object.entries(command.env).map(([name, value]) => `${name}=${value ?? ''}`);
    return this.#ask(command.entrances, '', values, [command.command, ...command.args], stdio);
  }

  get enters(): boolean {
    return this.#enters && this.#alive;
  }

  enter({ first, args, env, cwd, user, permitted, entrances, complaints }: Entry, stdio: Stdio): Promise<Child> {
    const entry = [
      first.pid,
      first.born,
      user.uid,
      user.gid,
      user.additionalGids.join(','),
      permitted,
      complaints,
      cwd,
    ];
    return this.#ask(entrances, entry.join(' '), env, args, stdio);
  }

  #ask(
    entrances: readonly string[],
    entry: string,
    values: readonly string[],
    words: readonly string[],
    stdio: Stdio,
  ): Promise<Child> {
    if (!this.#alive) return Promise.reject(new Error('the launching process is gone'));
    const id = String(++this.#counter);
    const files = stdio.map(fd => `/proc/${process.pid}/fd/${fd}`);
    const request = [id, ...files, entrances.join(' '), values.length, words.length, entry, ...values, ...words];
    return new Promise((resolve, reject) => {
      const { promise: ended, resolve: end } = Promise.withResolvers<ChildEnd>();
      const started = (pid: number) => resolve({ pid, kill: () => killIfThere(pid), ended });
      this.#waiting.set(id, { started, refused: reject, ended: end });
      this.#servant.stdin.write(request.map(asLine).join(''));
    });
  }

  #told(line: string): void {
    const [what, id = '', ...rest] = line.split(' ');
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (what === 's') {
      waiting.started(Number(rest[0]));
      return;
    }
    this.#waiting.delete(id);
    if (what === 'f') {
      waiting.refused(new Error(`cannot be started: ${rest.join(' ')}`));
      return;
    }
    const [code, signal] = rest.map(Number);
    waiting.ended(signal ? { code: null, signal: nameOf(signal) } : { code: code ?? 0, signal: null });
  }
}

/** A line, whatever is in it. */
function asLine(text: string | number): string {
  return `${String(text).replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`;
}

function childEnd(child: ChildProcess): Promise<ChildEnd> {
  return new Promise(resolve => {
    child.on('error', error => resolve({ code: null, signal: null, error }));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function nameOf(signal: number): NodeJS.Signals {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return (found?.[0] ?? 'SIGKILL') as NodeJS.Signals;
}

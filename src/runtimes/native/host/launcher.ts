import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** A command, and the cgroups it enters before it is anything else. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Files it writes 0 to. */
  readonly entrances: readonly string[];
}

export interface Child {
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
}

export function perlPath(): string | undefined {
  return ['/usr/bin/perl', '/bin/perl', '/usr/local/bin/perl'].find(existsSync);
}

export function makeLauncher(log: (line: string) => void): Launcher {
  const perl = perlPath();
  return perl ? new PerlLauncher(perl, log) : new NodeLauncher();
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
    return { ended: childEnd(child), kill: () => void child.kill('SIGKILL') };
  }
}

// A request is lines: id, three files, entrances, counts and values of environment and arguments. It opens the files
// itself, says `s` when the child has them and `e` when it ended. Each child holds the end of a pipe for as long as it
// lives, so that there is no race between waiting for requests and for children.
const servant = `
use strict; use Fcntl; use POSIX ();
$| = 1;
my (%pipes, %pids, @lines);
my $buffer = "";
while (1) {
  my $bits = ""; vec($bits, 0, 1) = 1;
  vec($bits, fileno($_), 1) = 1 for values %pipes;
  next if select(my $ready = $bits, undef, undef, undef) < 0;
  for my $id (keys %pipes) {
    next unless vec($ready, fileno($pipes{$id}), 1);
    close(delete $pipes{$id});
    waitpid(delete $pids{$id}, 0);
    print "e $id ", $? & 127 ? "-1 " . ($? & 127) : ($? >> 8) . " 0", "\\n";
  }
  next unless vec($ready, 0, 1);
  my $read = sysread(STDIN, $buffer, 65536, length $buffer);
  exit 0 unless $read;
  push @lines, $1 while $buffer =~ s/^([^\\n]*)\\n//;
  while (@lines >= 7) {
    my ($id, $in, $out, $err, $entrances, $envs, $count) = @lines[0 .. 6];
    last if @lines < 7 + $envs + $count;
    splice(@lines, 0, 7);
    my @env = splice(@lines, 0, $envs); my @command = splice(@lines, 0, $count);
    my ($i, $o, $e, $alive, $held);
    unless (sysopen($i, $in, O_RDONLY) && sysopen($o, $out, O_WRONLY) && sysopen($e, $err, O_WRONLY) && pipe($alive, $held)) {
      print "f $id $!\\n"; next;
    }
    my $pid = fork();
    unless (defined $pid) { print "f $id $!\\n"; next; }
    if ($pid == 0) {
      for (split / /, $entrances) { my $group; open($group, ">", $_) && syswrite($group, "0") || POSIX::_exit(125); }
      POSIX::dup2(fileno($i), 0); POSIX::dup2(fileno($o), 1); POSIX::dup2(fileno($e), 2);
      fcntl($held, F_SETFD, 0);
      %ENV = map { split /=/, $_, 2 } @env;
      exec { $command[0] } @command; POSIX::_exit(127);
    }
    $pipes{$id} = $alive; $pids{$id} = $pid;
    print "s $id $pid\\n";
  }
}`;

interface Waiting {
  started(child: Pick<Child, 'kill'>): void;
  refused(error: Error): void;
  ended(end: ChildEnd): void;
}

/** One small, long-lived Perl forks itself instead: a fraction of the time. */
class PerlLauncher implements Launcher {
  readonly #servant: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<string, Waiting>();
  readonly #fallback = new NodeLauncher();
  #counter = 0;
  #alive = true;

  constructor(perl: string, log: (line: string) => void) {
    this.#servant = spawn(perl, ['-e', servant], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH },
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
    const values = [...Object.entries(command.env).map(([name, value]) => `${name}=${value ?? ''}`)];
    const words = [command.command, ...command.args];
    if (!this.#alive || [...values, ...words].some(text => /[\n\0]/.test(text))) {
      return this.#fallback.start(command, stdio);
    }
    const id = String(++this.#counter);
    const files = stdio.map(fd => `/proc/${process.pid}/fd/${fd}`);
    const request = [id, ...files, command.entrances.join(' '), values.length, words.length, ...values, ...words];
    return new Promise((resolve, reject) => {
      const { promise: ended, resolve: end } = Promise.withResolvers<ChildEnd>();
      const started = (child: Pick<Child, 'kill'>) => resolve({ ...child, ended });
      this.#waiting.set(id, { started, refused: reject, ended: end });
      this.#servant.stdin.write(`${request.join('\n')}\n`);
    });
  }

  #told(line: string): void {
    const [what, id = '', ...rest] = line.split(' ');
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (what === 's') {
      const pid = Number(rest[0]);
      waiting.started({ kill: () => killIfThere(pid) });
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

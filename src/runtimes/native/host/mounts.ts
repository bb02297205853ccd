import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CoppiceError } from '../../../protocol/errors.ts';
import { perlPath } from './launcher.ts';

export interface OverlayLayers {
  /** Topmost first. */
  readonly lower: readonly string[];
  readonly upper?: string;
  /** A fresh, empty folder on the upper's filesystem. */
  readonly work?: string;
  readonly readOnly?: boolean;
}

// Both are the same servant: three lines a request, one line an answer, and values only ever are data.

/** Perl can make the system calls itself: 0.05 ms a mount. */
const perlMounter = `
use strict;
$| = 1;
my ($mount, $umount) = $ARGV[0] eq "x64" ? (165, 166) : (40, 39);
my ($none, $overlay) = ("", "overlay");
while (defined(my $verb = <STDIN>) && defined(my $a = <STDIN>) && defined(my $b = <STDIN>)) {
  chomp($verb, $a, $b);
  my $r = -1;
  if ($verb eq "overlay") { $r = syscall($mount, $overlay, $b, $overlay, 0, $a); }
  elsif ($verb eq "umount") { $r = syscall($umount, $a, 2); }
  else {
    $r = syscall($mount, $a, $b, $none, 4096, $none);
    $r = syscall($mount, $none, $b, $none, 4096 | 32 | 1 | 2 | 4, $none) if $r == 0 && $verb eq "bind-ro";
  }
  print $r == 0 ? "ok\n" : "no $!\n";
}`;

/** Where there is no Perl: mount(8), 2 ms a mount. */
const shellMounter = `
while IFS= read -r verb && IFS= read -r a && IFS= read -r b; do
  case $verb in
    overlay) out=$(mount -n -i -t overlay overlay -o "$a" -- "$b" 2>&1) ;;
    bind) out=$(mount -n -i --bind -- "$a" "$b" 2>&1) ;;
    bind-ro) out=$(mount -n -i -o bind,ro,nosuid,nodev -- "$a" "$b" 2>&1) ;;
    umount) out=$(umount -n -i -l -- "$a" 2>&1) ;;
  esac
  if [ $? = 0 ]; then echo ok; else echo "no $out" | tr '\\n' ' '; echo; fi
done`;

/** Mounts by one long-lived servant: Node cannot mount, and a process of its own per mount costs many times as much. */
export class Mounts {
  #servant = startServant();

  async overlay(target: string, layers: OverlayLayers): Promise<void> {
    await this.#ask('overlay', overlayOptions(layers).join(','), target);
  }

  async bind(source: string, target: string, options: { readonly readOnly: boolean }): Promise<void> {
    await this.#ask(options.readOnly ? 'bind-ro' : 'bind', source, target);
  }

  /** Lazy: the mount is gone from the tree at once, and for good when its last user is. */
  async unmount(target: string): Promise<void> {
    await this.#ask('umount', target, '');
  }

  close(): void {
    this.#servant.end();
  }

  async #ask(verb: string, a: string, b: string): Promise<void> {
    if (/[\n\0]/.test(a + b))
      throw new CoppiceError('internal', `cannot mount a name with a line break: ${JSON.stringify(b || a)}`);
    // One that died takes its questions along; the next question goes to another.
    if (!this.#servant.alive) this.#servant = startServant();
    const answer = await this.#servant.ask(`${verb}\n${a}\n${b}\n`);
    if (answer !== 'ok') throw new CoppiceError('internal', `${verb} ${b || a}: ${answer.replace(/^no /, '').trim()}`);
  }
}

interface Servant {
  readonly alive: boolean;
  ask(question: string): Promise<string>;
  end(): void;
}

function startServant(): Servant {
  const [command, ...args] = mounterCommand();
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env.PATH } });
  const waiting: ((answer: string) => void)[] = [];
  let alive = true;
  const lost = (reason: string) => {
    alive = false;
    for (const resolve of waiting.splice(0)) resolve(`no ${reason}`);
  };
  createInterface({ input: child.stdout }).on('line', line => waiting.shift()?.(line));
  child.on('close', () => lost('the mounting process ended'));
  child.on('error', error => lost(error.message));
  child.stdin.on('error', error => lost(error.message));
  return {
    get alive() {
      return alive;
    },
    ask: question =>
      new Promise(resolve => {
        waiting.push(resolve);
        child.stdin.write(question);
      }),
    end: () => child.stdin.end(),
  };
}

function mounterCommand(): [string, ...string[]] {
  const perl = perlPath();
  return perl ? [perl, '-e', perlMounter, process.arch] : ['/bin/sh', '-c', shellMounter];
}

/** `userxattr`: what an ordinary user's namespace may use. `volatile`: no sync per mount; a kept upper is synced on its own. */
export function overlayOptions(layers: OverlayLayers): string[] {
  const options = [`lowerdir=${layers.lower.map(escapeLower).join(':')}`];
  if (layers.upper !== undefined && !layers.readOnly) {
    options.push(`upperdir=${escapeComma(layers.upper)}`, `workdir=${escapeComma(layers.work ?? '')}`, 'volatile');
  }
  options.push('userxattr');
  if (layers.readOnly) options.push('ro');
  return options;
}

function escapeLower(folder: string): string {
  return escapeComma(folder).replace(/:/g, '\\:');
}

function escapeComma(folder: string): string {
  return folder.replace(/[\\,]/g, '\\$&');
}

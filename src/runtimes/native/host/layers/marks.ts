import { spawn } from 'node:child_process';
import { CoppiceError } from '../../../../protocol/errors.ts';
import { perlPath } from '../launcher.ts';
import type { Time } from './tarHeader.ts';

/** What Node has no call for. Paths are byte paths with no link in them but perhaps the last. */
export type Mark =
  /** Hides what lower layers have there: what overlayfs itself writes. */
  | { readonly kind: 'whiteout'; readonly path: string }
  /** A folder that hides those below it. */
  | { readonly kind: 'opaque'; readonly path: string }
  /** A folder that has whiteouts: else the kernel shows them where no layer below has the folder. */
  | { readonly kind: 'merged'; readonly path: string }
  | { readonly kind: 'xattr'; readonly path: string; readonly name: string; readonly value: Buffer }
  | { readonly kind: 'time'; readonly path: string; readonly time: Time }
  | {
      readonly kind: 'fifo';
      readonly path: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly time: Time;
    };

/** Attributes that mean the same wherever the image runs; overlayfs's own never come from outside. */
const kept = /^(?:security\.capability$|system\.posix_acl_(?:access|default)$|user\.(?!overlay\.))/;

export function isKeptAttribute(name: string): boolean {
  return kept.test(name);
}

/** One line a mark, fields in hex: data only ever is data. A failure is told by the line's number. */
const perlMarker = `
use strict;
my %calls = (x64 => [259, 189, 280], arm64 => [33, 6, 88]);
my ($mknodat, $lsetxattr, $utimensat) = @{$calls{$ARGV[0]} or die "no system calls for $ARGV[0]"};
my $cwd = -100;
while (my $line = <STDIN>) {
  my ($kind, @fields) = split / /, substr($line, 0, -1), -1;
  my ($path, $name, $value) = map { pack("H*", $_) } @fields[0, 1, 2];
  my $r = 0;
  if ($kind eq "whiteout") { $r = syscall($mknodat, $cwd, $path, 0020000, 0); }
  elsif ($kind eq "xattr") { $r = syscall($lsetxattr, $path, $name, $value, length $value, 0); }
  elsif ($kind eq "fifo") {
    $r = syscall($mknodat, $cwd, $path, 0010600, 0);
    if ($r == 0) { chown $fields[2], $fields[3], $path; chmod $fields[1], $path or $r = -1; }
  }
  elsif ($kind eq "time") {
    my $times = pack("q4", $fields[1], $fields[2], $fields[1], $fields[2]);
    $r = syscall($utimensat, $cwd, $path, $times, 0x100);
  }
  print "$. $!\n" if $r != 0;
}`;

/** Makes them all, in their order, by one short-lived servant. Attributes that cannot be set are counted. */
export async function makeMarks(marks: readonly Mark[], signal: AbortSignal): Promise<{ readonly unset: number }> {
  const lines = marks.flatMap(linesOf);
  const unknown = marks.filter(mark => mark.kind === 'xattr' && !isKeptAttribute(mark.name)).length;
  if (lines.length === 0) return { unset: unknown };
  const perl = perlPath();
  if (perl === undefined) {
    throw new CoppiceError(
      'unsupported',
      'unpacking this image needs Perl: it hides files, or has attributes or exact times',
      {
        fix: 'Install perl on this machine.',
      },
    );
  }
  const failed = await run(perl, lines, signal);
  const hard = failed.find(
    ({ line }) => !lines[line - 1]!.startsWith('xattr') || lines[line - 1]!.includes(` ${overlayName}`),
  );
  if (hard) throw new Error(`${lines[hard.line - 1]!.split(' ')[0]}: ${hard.reason}`);
  return { unset: unknown + failed.length };
}

const overlayName = hex('user.overlay.');

function linesOf(mark: Mark): string[] {
  const path = hex(mark.path);
  switch (mark.kind) {
    case 'whiteout':
      return [`whiteout ${path}`];
    case 'opaque':
      return [`xattr ${path} ${overlayName}${hex('opaque')} ${hex('y')}`];
    case 'merged':
      return [`xattr ${path} ${overlayName}${hex('origin')} `];
    case 'xattr':
      return isKeptAttribute(mark.name) ? [`xattr ${path} ${hex(mark.name)} ${mark.value.toString('hex')}`] : [];
    case 'time':
      return [timeLine(path, mark.time)];
    case 'fifo':
      return [`fifo ${path} ${mark.mode} ${mark.uid} ${mark.gid}`, timeLine(path, mark.time)];
  }
}

function timeLine(path: string, { seconds, nanos }: Time): string {
  return `time ${path} ${seconds} ${nanos}`;
}

function run(
  perl: string,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<readonly { line: number; reason: string }[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(perl, ['-e', perlMarker, process.arch], { stdio: 'pipe', signal, env: { LC_ALL: 'C' } });
    let answers = '';
    let complaint = '';
    child.stdout.on('data', (text: Buffer) => {
      answers += text;
    });
    child.stderr.on('data', (text: Buffer) => {
      if (complaint.length < 2000) complaint += text;
    });
    child.on('error', reject);
    child.stdin.on('error', () => undefined);
    child.on('close', code => {
      if (code !== 0) reject(new Error(`marks were not made: ${complaint.trim() || `code ${code}`}`));
      else resolve(answers.split('\n').filter(Boolean).map(answerOf));
    });
    child.stdin.end(lines.map(line => `${line}\n`).join(''));
  });
}

function answerOf(answer: string): { line: number; reason: string } {
  const [, line, reason] = /^(\d+) (.*)$/.exec(answer)!;
  return { line: Number(line), reason: reason! };
}

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}

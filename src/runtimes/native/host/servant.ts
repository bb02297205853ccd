/**
 * The Perl program that forks for the namespace host: a small process forks in a fraction of the time that Node takes.
 *
 * It reads requests and says `s id pid` when the child is made, `f id why` when it could not be, `e id code signal` when
 * it ended. A request is lines: id, three files for stdin, stdout and stderr, entrances (cgroup files to write 0 to),
 * how many variables, how many words, an entry or nothing; then the variables and the words. A line break in them is
 * written `\n`, a backslash `\\`.
 *
 * Without an entry the child becomes the command. With one it goes into a living sandbox first, as `crun exec` would
 * send it, without crun's own start, which takes longer than all of this: the entry is its first process, that one's
 * start time, uid, gid, more groups, permitted capabilities, a file for complaints and, as the last, the working
 * directory. Until its command begins, the child cannot be looked into from there: it is not dumpable.
 */
export const servant = String.raw`
use strict; use Fcntl; use POSIX ();
$| = 1;
# Whatever whoever started the engine had open: a folder among it would lead out of every sandbox.
opendir(my $open, "/proc/self/fd") or exit 1;
my @left = grep { /^\d+$/ && $_ > 2 } readdir $open;
closedir $open;
POSIX::close($_) for @left;
# Perl ignores it, and what it starts would too.
$SIG{FPE} = "DEFAULT";
my ($setns, $prctl, $capset, $seccomp, $setgroups, $setresuid, $setresgid, $pidfd_open, $execve) = split / /, $ENV{COPPICE_CALLS} // "";
my $bounding = 0 + ($ENV{COPPICE_BOUNDING} // 0);
my $filter = pack("H*", $ENV{COPPICE_SECCOMP} // "");
my ($PR_SET_DUMPABLE, $PR_CAPBSET_DROP, $PR_SET_NO_NEW_PRIVS, $PR_CAP_AMBIENT, $CLEAR_ALL) = (4, 24, 38, 47, 4);
my $SECCOMP_SET_MODE_FILTER = 1;
my @outside = (stat "/")[0, 1];
my $own_pids;
if ($setns) { sysopen($own_pids, "/proc/self/ns/pid", O_RDONLY) && call($prctl, $PR_SET_DUMPABLE, 0) or exit 1; }
# By descriptor: whose end tells that its child ended. Either a pipe the child holds the other side of, or a pidfd.
my (%ids, %pids, %pipes, @lines);
my $buffer = "";

sub call { my $number = shift; return syscall(0 + $number, @_) != -1; }

sub started {
  my ($id, $pid, $watched) = @_;
  $ids{$watched} = $id; $pids{$watched} = $pid;
  print "s $id $pid\n";
}

sub ended {
  my ($watched) = @_;
  my $id = delete $ids{$watched};
  waitpid(delete $pids{$watched}, 0);
  my ($code, $signal) = ($? >> 8, $? & 127);
  # Who entered has no parent in between that would say so: a signal is told as shells tell it.
  if (my $pipe = delete $pipes{$watched}) { close $pipe; ($code, $signal) = (-1, $signal) if $signal; }
  else { POSIX::close($watched); ($code, $signal) = (128 + $signal, 0) if $signal; }
  print "e $id $code $signal\n";
}

sub take_stdio { POSIX::dup2(fileno($_[$_]), $_) for 0 .. 2; }

sub enter_cgroups {
  for (split / /, $_[0]) { my $group; open($group, ">", $_) && syswrite($group, "0") or return 0; }
  return 1;
}

# The kernel finds each string by its address, so they must stay where they are.
sub become {
  my ($command, $env) = @_;
  my $argv = pack("p*", @$command) . pack("J", 0);
  my $envp = (@$env ? pack("p*", @$env) : "") . pack("J", 0);
  my $name = $command->[0];
  my @places = ($name);
  if ($name !~ m{/}) {
    my ($path) = map { /^PATH=(.*)/s ? $1 : () } @$env;
    @places = map { ($_ eq "" ? "." : $_) . "/$name" } split /:/, $path // "/usr/local/bin:/usr/bin:/bin", -1;
  }
  my $why;
  for my $place (@places) {
    call($execve, $place, $argv, $envp);
    $why = $! if !defined $why || $! != ENOENT();
    last if $! != ENOENT() && $! != ENOTDIR() && $! != EACCES();
  }
  return $name =~ m{/} ? "$name: $why" : "$name is not in \$PATH: $why";
}
sub ENOENT { 2 } sub ENOTDIR { 20 } sub EACCES { 13 } sub EINVAL { 22 }

# Answers why it could not.
sub go_inside {
  my ($spaces, $entrances, $uid, $gid, $groups, $permitted, $cwd) = @_;
  enter_cgroups($entrances) or return "its cgroup cannot be entered: $!";
  for my $name (qw(cgroup ipc uts net mnt)) {
    next unless $spaces->{$name};
    call($setns, fileno($spaces->{$name}), 0) or return "setns $name: $!";
  }
  my @root = (stat "/")[0, 1];
  return "it has no root of its own yet" if $root[0] == $outside[0] && $root[1] == $outside[1];
  POSIX::setsid();
  my @groups = split /,/, $groups;
  my $list = pack("L*", @groups);
  # Those the kernel knows; the first it does not know ends it.
  for my $capability (0 .. 63) {
    next if $capability < 32 && $bounding & (1 << $capability);
    next if call($prctl, $PR_CAPBSET_DROP, $capability, 0, 0, 0);
    last if $! == EINVAL();
    return "bounding capabilities: $!";
  }
  call($prctl, $PR_CAP_AMBIENT, $CLEAR_ALL, 0, 0, 0) or return "ambient capabilities: $!";
  call($setgroups, scalar @groups, $list) or return "setgroups: $!";
  call($setresgid, 0 + $gid, 0 + $gid, 0 + $gid) or return "group $gid: $!";
  call($setresuid, 0 + $uid, 0 + $uid, 0 + $uid) or return "user $uid: $!";
  my $header = pack("L l", 0x20080522, 0);
  my $sets = pack("L6", $permitted, $permitted, 0, 0, 0, 0);
  call($capset, $header, $sets) or return "capabilities: $!";
  call($prctl, $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or return "no new privileges: $!";
  chdir $cwd or return "$cwd: $!";
  my $program = pack("S x![P] P", length($filter) / 8, $filter);
  call($seccomp, $SECCOMP_SET_MODE_FILTER, 0, $program) or return "system-call filter: $!";
  return undef;
}

# Answers the child, or nothing and why.
sub fork_inside {
  my ($entry, $entrances, $stdio, $env, $command) = @_;
  my ($first, $born, $uid, $gid, $groups, $permitted, $complaints, $cwd) = split / /, $entry, 8;
  my (%spaces, $log);
  for my $name (qw(pid cgroup ipc uts net mnt)) {
    my $theirs = readlink "/proc/$first/ns/$name" or return (undef, "it does not run any more");
    next if $theirs eq readlink "/proc/self/ns/$name";
    sysopen($spaces{$name}, "/proc/$first/ns/$name", O_RDONLY) or return (undef, "it does not run any more");
  }
  # Asked after they were opened: what has its number now is what had it then.
  my $stat = "";
  if (open(my $file, "<", "/proc/$first/stat")) { $stat = <$file> // ""; }
  $stat =~ s/^.*\) //s;
  return (undef, "it does not run any more") unless ((split / /, $stat)[19] // "") eq $born;
  sysopen($log, $complaints, O_WRONLY | O_CREAT | O_TRUNC, 0600) or return (undef, "$complaints: $!");
  call($setns, fileno($spaces{pid}), 0) or return (undef, "setns pid: $!");
  my $pid = fork();
  my $why = $!;
  if (defined $pid && $pid == 0) {
    take_stdio(@$stdio);
    my $complaint = go_inside(\%spaces, $entrances, $uid, $gid, $groups, 0 + $permitted, $cwd);
    $complaint = become($command, $env) unless defined $complaint;
    syswrite($log, "$complaint\n");
    POSIX::_exit(127);
  }
  # What it forks next is a neighbour of its own again.
  call($setns, fileno($own_pids), 0) or exit 1;
  return ($pid, $why);
}

sub serve {
  my ($id, $in, $out, $err, $entrances, $entry, $env, $command) = @_;
  my ($i, $o, $e);
  unless (sysopen($i, $in, O_RDONLY) && sysopen($o, $out, O_WRONLY) && sysopen($e, $err, O_WRONLY)) {
    print "f $id $!\n"; return;
  }
  if ($entry ne "") {
    my ($pid, $why) = fork_inside($entry, $entrances, [$i, $o, $e], $env, $command);
    unless (defined $pid) { print "f $id $why\n"; return; }
    my $watched = syscall(0 + $pidfd_open, $pid, 0);
    if ($watched == -1) { my $why = $!; kill 9, $pid; waitpid($pid, 0); print "f $id $why\n"; return; }
    started($id, $pid, $watched);
    return;
  }
  # The child and all it starts hold the pipe, so that there is no race between waiting for requests and for children.
  my ($alive, $held);
  unless (pipe($alive, $held)) { print "f $id $!\n"; return; }
  my $pid = fork();
  unless (defined $pid) { print "f $id $!\n"; return; }
  if ($pid == 0) {
    enter_cgroups($entrances) or POSIX::_exit(125);
    take_stdio($i, $o, $e);
    fcntl($held, F_SETFD, 0);
    %ENV = map { split /=/, $_, 2 } @$env;
    exec { $command->[0] } @$command; POSIX::_exit(127);
  }
  $pipes{fileno $alive} = $alive;
  started($id, $pid, fileno $alive);
}

while (1) {
  my $bits = ""; vec($bits, 0, 1) = 1;
  vec($bits, $_, 1) = 1 for keys %ids;
  next if select(my $ready = $bits, undef, undef, undef) < 0;
  for my $watched (keys %ids) { ended($watched) if vec($ready, $watched, 1); }
  next unless vec($ready, 0, 1);
  my $read = sysread(STDIN, $buffer, 65536, length $buffer);
  exit 0 unless $read;
  while ($buffer =~ s/^([^\n]*)\n//) {
    my $line = $1;
    $line =~ s/\\(.)/$1 eq "n" ? "\n" : $1/ge;
    push @lines, $line;
  }
  while (@lines >= 8) {
    my ($id, $in, $out, $err, $entrances, $envs, $count, $entry) = @lines[0 .. 7];
    last if @lines < 8 + $envs + $count;
    splice(@lines, 0, 8);
    my @env = splice(@lines, 0, $envs); my @command = splice(@lines, 0, $count);
    serve($id, $in, $out, $err, $entrances, $entry, \@env, \@command);
  }
}`;

type Call =
  | 'setns'
  | 'prctl'
  | 'capset'
  | 'seccomp'
  | 'setgroups'
  | 'setresuid'
  | 'setresgid'
  | 'pidfd_open'
  | 'execve';

/** Numbers of the system calls it makes itself, in the order it takes them. Elsewhere nobody enters without the runtime. */
const calls: Readonly<Record<string, Readonly<Record<Call, number>>>> = {
  x64: {
    setns: 308,
    prctl: 157,
    capset: 126,
    seccomp: 317,
    setgroups: 116,
    setresuid: 117,
    setresgid: 119,
    pidfd_open: 434,
    execve: 59,
  },
  arm64: {
    setns: 268,
    prctl: 167,
    capset: 91,
    seccomp: 277,
    setgroups: 159,
    setresuid: 147,
    setresgid: 149,
    pidfd_open: 434,
    execve: 221,
  },
};

/** What a sandbox's processes are held in by; the same for all. */
export interface Confinement {
  readonly seccomp: Buffer;
  /** A bit a capability. */
  readonly bounding: number;
}

/** Its environment; undefined where it cannot send a process into a sandbox by itself. */
export function entering({ seccomp, bounding }: Confinement): Record<string, string> | undefined {
  const numbers = calls[process.arch];
  if (!numbers) return undefined;
  return {
    COPPICE_CALLS: Object.values(numbers).join(' '),
    COPPICE_BOUNDING: String(bounding),
    COPPICE_SECCOMP: seccomp.toString('hex'),
  };
}

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { CoppiceHome, engineScript } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { without } from '../harness/testRuntime.ts';

let engine: TestEngine;
let sandbox_id: string;
before(async () => {
  if (without('host:')) return;
  engine = await startEngine();
  ({ sandbox_id } = await engine.client.call('create_sandbox', { image: 'host:', network: 'nat' }));
});
after(() => engine?.[Symbol.asyncDispose]());

async function exec(command: readonly string[], more: Partial<VerbInput<'exec'>> = {}) {
  const { process_id, exit_code, signal } = await engine.client.call('exec', {
    sandbox_id,
    command: [...command],
    wait: true,
    ...more,
  });
  const read = async (stream: 'stdout' | 'stderr') =>
    (await engine.client.call('read_output', { operation_id: process_id, stream })).text;
  return { exit_code, signal, stdout: await read('stdout'), stderr: await read('stderr') };
}

/** All that holds a process in, and all it can notice about how it was started. */
const report = `
  grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Umask|SigIgn|SigBlk|SigCgt|CoreDumping|THP_enabled)' /proc/self/status
  for name in cgroup ipc mnt net pid uts user; do readlink /proc/self/ns/$name; done
  cat /proc/self/cgroup /proc/self/limits /proc/self/oom_score_adj
  for fd in 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd; done
  readlink /proc/self/root /proc/self/cwd
  [ "$(cut -d' ' -f6 /proc/$$/stat)" = $$ ] && echo 'leads a session of its own'
  env | grep -v '^TERM=' | sort
`;

describe('a process that is sent straight into a sandbox is held as one that the OCI runtime sends there', {
  skip: without('host:'),
}, () => {
  for (const user of [undefined, '1000:1000', 'nobody', '65534', '0:1000']) {
    test(`as user ${user ?? 'by default'}`, async () => {
      const more = { cwd: '/tmp', env: { GIVEN: 'a b=c' }, ...(user === undefined ? {} : { user }) };
      const command = ['/bin/sh', '-c', report];
      const straight = await exec(command, more);
      // A terminal is what takes the OCI runtime.
      const byRuntime = await exec(command, { ...more, tty: { cols: 80, rows: 24 } });
      assert.equal(straight.stderr, '');
      assert.equal(straight.exit_code, byRuntime.exit_code);
      assert.deepEqual(straight.stdout.split('\n'), byRuntime.stdout.split('\r\n'));
      assert.match(straight.stdout, /^NoNewPrivs:\t1$/m);
      assert.match(straight.stdout, /^Seccomp:\t2$/m);
      assert.match(straight.stdout, /^CapBnd:\t00000000a80425fb$/m);
      assert.match(straight.stdout, /^leads a session of its own$/m);
    });
  }
});

describe('a process that cannot be started', { skip: without('host:') }, () => {
  const failures: readonly (readonly [string, readonly string[], Partial<VerbInput<'exec'>>, RegExp])[] = [
    ['a program that is nowhere', ['no-such-program'], {}, /no-such-program/],
    ['a path that is not there', ['/no/such/program'], {}, /\/no\/such\/program/],
    ['a folder', ['/tmp'], {}, /\/tmp/],
    ['a file that is no program', ['/etc/passwd'], {}, /\/etc\/passwd/],
    ['a working directory that is not there', ['true'], { cwd: '/no/such/folder' }, /\/no\/such\/folder/],
    ['a user who is not there', ['true'], { user: 'nobody-knows' }, /nobody-knows/],
  ];
  for (const [what, command, more, message] of failures) {
    test(`says so: ${what}`, async () => {
      await assert.rejects(exec(command, more), { code: 'command_not_started', message });
    });
  }
});

test('its words and variables arrive as they are', { skip: without('host:') }, async () => {
  const odd = ['', ' ', "'", '"', '$HOME', '\\', 'é😀', '\t', '-n', '%s', 'two\nlines\\n\n'];
  const words = await exec(['/bin/sh', '-c', 'printf "[%s]" "$@"', 'sh', ...odd]);
  assert.equal(words.stdout, odd.map(word => `[${word}]`).join(''));
  const env = Object.fromEntries(odd.map((value, index) => [`V${index}`, value]));
  const given = await exec(['/bin/sh', '-c', odd.map((_, index) => `printf '[%s]' "$V${index}"`).join(';')], { env });
  assert.equal(given.stdout, odd.map(value => `[${value}]`).join(''));
  // Its own PATH says where it is looked for.
  await exec([
    '/bin/sh',
    '-c',
    'mkdir -p /tmp/bin && printf "#!/bin/sh\\necho mine\\n" > /tmp/bin/own && chmod +x /tmp/bin/own',
  ]);
  assert.equal((await exec(['own'], { env: { PATH: '/nowhere:/tmp/bin' } })).stdout, 'mine\n');
});

test('signals and many at once are told apart', { skip: without('host:') }, async () => {
  assert.deepEqual(await exec(['/bin/sh', '-c', 'kill -TERM $$']), {
    exit_code: 143,
    signal: 'SIGTERM',
    stdout: '',
    stderr: '',
  });
  const codes = Array.from({ length: 40 }, (_, n) => n);
  const ends = await Promise.all(codes.map(n => exec(['/bin/sh', '-c', `echo ${n}; exit ${n}`])));
  assert.deepEqual(
    ends.map(({ exit_code, stdout }) => [exit_code, stdout]),
    codes.map(n => [n, `${n}\n`]),
  );
});

test('what it leaves behind belongs to the sandbox, and nothing of it outside is seen', {
  skip: without('host:'),
}, async () => {
  await exec(['/bin/sh', '-c', '(sleep 60 & echo $! > /tmp/left) > /dev/null 2>&1']);
  const { stdout } = await exec([
    '/bin/sh',
    '-c',
    'cat /proc/$(cat /tmp/left)/stat | cut -d" " -f4; ls /proc | grep -c "^[0-9]"',
  ]);
  const [parent, processes] = stdout.trim().split('\n').map(Number);
  assert.equal(parent, 1);
  // The pause, the sleep, and the shell with its pipe.
  assert.ok(processes! <= 6, `${processes} processes`);
});

test('what was open where the engine was started is closed in a sandbox', { skip: without('host:') }, async () => {
  await using home = new CoppiceHome();
  const folder = openSync('/usr', 'r');
  // As a shell's `exec 100</usr`: higher than what Node itself closes.
  const stdio = Array.from({ length: 101 }, (_, fd) => (fd === 100 ? folder : 'ignore'));
  spawn(process.execPath, [engineScript, '--home', home.path], { stdio, env: { ...process.env, ...home.env } });
  closeSync(folder);
  const client = await eventually('an engine', () => home.running());
  const { sandbox_id } = await client.call('create_sandbox', { image: 'host:' });
  const list = ['/bin/sh', '-c', '[ -e /proc/$$/fd/100 ] && readlink /proc/$$/fd/100'];
  const { exit_code } = await client.call('exec', { sandbox_id, command: list, wait: true });
  assert.equal(exit_code, 1);
});

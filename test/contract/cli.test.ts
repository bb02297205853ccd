import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { repository } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { without } from '../harness/testRuntime.ts';

const command = path.join(repository, 'dist', 'coppice.js');

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe('the coppice command', () => {
  let engine: TestEngine;
  let folder: TemporaryFolder;

  before(async () => {
    engine = await startEngine();
    folder = new TemporaryFolder();
    await engine.busybox();
  });
  after(async () => {
    await engine?.[Symbol.asyncDispose]();
    folder?.[Symbol.dispose]();
  });

  const environment = () => ({ ...process.env, COPPICE_HOME: engine.home, COPPICE_IMAGE: 'busybox', NO_COLOR: '1' });

  function start(...words: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
    return spawn(process.execPath, [command, ...words], {
      cwd: folder.path,
      env: environment(),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  async function coppice(...words: readonly string[]): Promise<Ended> {
    return ending(start(...words));
  }

  /** What a successful command printed, as its one JSON document. */
  async function json<T>(...words: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await coppice(...words, '--json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as T;
  }

  const busybox = ['run', '-i', 'busybox', '--network', 'none'] as const;

  test('runs a command: its output, its streams, its exit code', async () => {
    const { code, stdout, stderr } = await coppice(...busybox, '-c', 'echo out; echo err >&2; exit 7');
    assert.equal(code, 7);
    assert.equal(stdout, 'out\n');
    assert.match(stderr, /^err\nop-[0-9a-f]{8} · exit 7 · [\d.]+ m?s\n$/);
  });

  test('hands the words after -- on as they are', async () => {
    const words = ['a b', '', '$HOME', '--json', '-c', "it's", '*', '\n'];
    const { stdout } = await coppice(
      ...busybox,
      '--',
      '/bin/sh',
      '-c',
      'for w in "$@"; do printf "<%s>" "$w"; done',
      'sh',
      ...words,
    );
    assert.equal(stdout, words.map(word => `<${word}>`).join(''));
  });

  test('gives a line its arguments as $1 and $2', async () => {
    const { stdout } = await coppice(...busybox, '-q', '-c', 'printf "%s|" "$0"; echo', '--', 'one two', '3');
    assert.match(stdout, /\|/);
    const { stdout: plain } = await coppice(...busybox, '-q', '-c', 'echo', '--', 'one  two', '3');
    assert.equal(plain, 'one  two 3\n');
  });

  test('shows output while the command runs', async () => {
    const child = start(...busybox, '-q', '-c', 'echo first; sleep 30');
    const ended = ending(child);
    const [first] = (await once(child.stdout, 'data')) as [Buffer];
    assert.equal(first.toString(), 'first\n');
    assert.equal(child.exitCode, null);
    child.kill('SIGINT');
    assert.equal((await ended).code, 130);
  });

  test('Ctrl-C cancels the operation', async () => {
    const child = start(...busybox, '-c', 'echo up; sleep 30');
    const ended = ending(child);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    assert.equal(code, 130);
    assert.match(stderr, /cancelled/);
    const { operations } = await engine.client.call('list_operations', { limit: 1 });
    assert.equal(operations[0]!.status, 'CANCELLED');
  });

  test('Ctrl-C twice leaves at once', async () => {
    const child = start(...busybox, '-c', 'echo up; sleep 30');
    const ended = ending(child);
    await once(child.stdout, 'data');
    process.kill(child.pid!, 'SIGSTOP'); // So that both are there when it goes on, as with an engine that does not answer.
    child.kill('SIGINT');
    process.kill(child.pid!, 'SIGCONT');
    await sleep(250);
    child.kill('SIGTERM');
    assert.equal((await ended).code, 130);
  });

  test('a timeout is 124, a signal 128 and its number', async () => {
    assert.equal((await coppice(...busybox, '--timeout', '0.3', '-c', 'sleep 30')).code, 124);
    assert.equal((await coppice(...busybox, '-c', "sh -c 'kill -9 $$'; exit $?")).code, 137);
  });

  test('passes on what is piped in when asked to', async () => {
    const child = start(...busybox, '-q', '--stdin', '--', 'cat');
    child.stdin.end('päckchen\n');
    assert.equal((await ending(child)).stdout, 'päckchen\n');
    const binary = start(...busybox, '-q', '--stdin', '--', 'cat');
    binary.stdin.end(Buffer.from([0xff, 0xfe]));
    const refused = await ending(binary);
    assert.deepEqual([refused.code, refused.stdout], [2, '']);
    assert.match(refused.stderr, /not text/);
  });

  test('environment, secrets, working directory and files', async () => {
    writeFileSync(folder.join('local.txt'), 'from here');
    const { stdout } = await coppice(
      ...busybox,
      '-q',
      ...['-e', 'A=1 2', '--secret', 'S=hidden', '-w', '/tmp', '--file', '/opt/in.txt=local.txt'],
      ...['-c', 'echo "$A $S $PWD"; cat /opt/in.txt'],
    );
    assert.equal(stdout, '1 2 hidden /tmp\nfrom here');
    const shown = JSON.stringify(await engine.client.call('list_operations', { limit: 1 }));
    assert(!shown.includes('hidden'));
  });

  test('keeps an image, goes on from it, shows where it came from', async () => {
    const kept = await coppice(...busybox, '-k', '-t', 'kept', '-c', 'mkdir /opt; echo 1 > /opt/one');
    assert.match(kept.stderr, /kept [0-9a-f]{8} as kept/);
    assert.equal(
      (await coppice('run', '-q', '-i', 'kept', '--network', 'none', '--', 'cat', '/opt/one')).stdout,
      '1\n',
    );
    const { images } = await json<{ images: { uuid: string; tag: string }[] }>('images', 'kept');
    assert.equal(images.length, 1);
    const uuid = images[0]!.uuid;
    assert.equal((await coppice('run', '-q', '-i', uuid.slice(0, 8), '--network', 'none', '--', 'true')).code, 0);
    const tree = (await coppice('lineage', 'kept')).stdout.split('\n');
    assert.match(tree[1]!, /^● [0-9a-f]{8} {2}busybox/);
    assert.match(tree[2]!, new RegExp(`^◉ ${uuid.slice(0, 8)} {2}kept .* mkdir /opt; echo 1 > /opt/one$`));
    assert.match((await coppice('diff', 'kept')).stdout, /^A {2}\/opt\/one {2}2 B$/m);
    assert.equal((await coppice('cat', 'kept:/opt/one')).stdout, '1\n');
    assert.equal((await coppice('ls', 'kept', '/opt')).stdout, 'one\n');
    assert.equal((await coppice('grep', '^1$', 'kept:/opt')).stdout, '/opt/one:1:1\n');
    assert.equal((await coppice('grep', 'absent', 'kept:/opt')).code, 1);
    assert.equal((await coppice('cp', 'kept:/opt/one', 'here/')).code, 0);
    assert.equal(readFileSync(folder.join('here', 'one'), 'utf8'), '1\n');
  });

  test('steps: an image each, the failed one is shown', async () => {
    const { code, stderr } = await coppice(
      ...busybox,
      '--step',
      'echo 1 > /s',
      '--step',
      'echo 2 >> /s; exit 3',
      '--step',
      'true',
    );
    assert.equal(code, 3);
    assert.match(
      stderr,
      / {2}[0-9a-f]{8} {2}exit 0 {2}echo 1 > \/s\n {2}[0-9a-f]{8} {2}exit 3 {2}echo 2 >> \/s; exit 3\n$/,
    );
  });

  test('in the background: run -d, ps, wait, output, cancel', async () => {
    const [one, two] = await Promise.all([
      coppice(...busybox, '-d', '-c', 'echo one; sleep 0.3'),
      coppice(...busybox, '-d', '-c', 'echo two; sleep 60'),
    ]);
    const [first, second] = [one.stdout.trim(), two.stdout.trim()];
    const shown = (await coppice('ps', '-r')).stdout;
    assert(shown.includes(second.slice(0, 11)), shown);
    const waited = await coppice('wait', first.slice(0, 11));
    assert.equal(waited.code, 0);
    assert.match(waited.stdout, new RegExp(`^${first.slice(0, 11)} {2}ok `));
    assert.equal((await coppice('wait', second, '--timeout', '0.1')).code, 124);
    assert.equal((await coppice('output', second.slice(0, 11))).stdout, 'two\n');
    assert.match((await coppice('cancel', second)).stdout, /cancelled/);
    assert.equal((await coppice('wait', first, second)).code, 1);
  });

  test('branches of a folder', async () => {
    assert.equal((await coppice('checkout', '-b', 'work', 'busybox')).code, 0);
    for (const line of ['echo a > /f', 'echo b > /f'])
      assert.equal((await coppice('run', '-k', '--network', 'none', '-c', line)).code, 0);
    const read = async () => (await coppice('run', '-q', '--network', 'none', '-c', 'cat /f')).stdout;
    assert.equal(await read(), 'b\n');
    assert.equal((await coppice('rollback')).code, 0);
    assert.equal(await read(), 'a\n');
    assert.equal((await coppice('rollback', '--forward')).code, 0);
    assert.equal(await read(), 'b\n');
    assert.match((await coppice('branches')).stdout, /^◉ {2}work .* 3 of 3 /m);
    assert.equal((await coppice('checkout', '--none')).code, 0);
  });

  test('a sandbox that stays: start, exec, snapshot, stop', async () => {
    const id = (await coppice('start', '-i', 'busybox', '--network', 'none')).stdout.trim();
    assert.match(id, /^sb-/);
    assert.equal((await coppice('exec', id, '-c', 'echo x > /tmp/x; exit 4')).code, 4);
    const child = start('exec', '-i', id.slice(0, 11), '--', 'sh', '-c', 'cat /tmp/x -');
    child.stdin.end('piped\n');
    assert.equal((await ending(child)).stdout, 'x\npiped\n');
    assert.equal((await coppice('snapshot', id, '-t', 'live')).code, 0);
    assert.equal((await coppice('cat', 'live:/tmp/x')).stdout, 'x\n');
    assert.equal((await coppice('stop', id)).code, 0);
    assert.match((await coppice('sandboxes')).stderr, /No sandbox is live/);
  });

  test('a synced folder', async () => {
    mkdirSync(folder.join('project', 'node_modules'), { recursive: true });
    writeFileSync(folder.join('project', 'a.txt'), 'A');
    writeFileSync(folder.join('project', 'node_modules', 'b'), 'B');
    const { stdout } = await coppice(...busybox, '-q', '-s', 'project', '-c', 'pwd; ls; cat a.txt');
    assert.equal(stdout, '/workspace/project\na.txt\nA');
    const state = (await coppice('sync', 'project', '/src')).stdout.trim();
    assert.match(state, /^ds-/);
    for (const reference of [state, state.slice(0, 11)])
      assert.equal((await coppice(...busybox, '-q', '--state', reference, '--', 'pwd')).stdout, '/src\n');
    assert.equal((await coppice(...busybox, '--state', 'ds-ffffffff', '--', 'pwd')).code, 125);
    writeFileSync(folder.join('project', 'a.txt'), 'A');
    assert.equal((await coppice(...busybox, '-t', 'worked', '-s', 'project', '-c', 'echo B > b.txt')).code, 0);
    assert.equal((await coppice('apply', '-n', 'worked')).stdout, 'A  b.txt  2 B\n');
    assert.equal((await coppice('apply', 'worked')).code, 0);
    assert.equal(readFileSync(folder.join('project', 'b.txt'), 'utf8'), 'B\n');
  });

  test('the folder one is in goes along, unless nobody can want that', async () => {
    mkdirSync(folder.join('mine'), { recursive: true });
    writeFileSync(folder.join('mine', 'a.txt'), 'A');
    const inside = (cwd: string, ...words: readonly string[]) =>
      ending(
        spawn(process.execPath, [command, ...busybox, ...words], {
          cwd,
          env: environment(),
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
      );
    assert.equal((await inside(folder.join('mine'), '-q', '-c', 'pwd; cat a.txt')).stdout, '/workspace/mine\nA');
    assert.equal((await inside(folder.join('mine'), '-q', '--at', '/src', '-c', 'pwd; ls')).stdout, '/src\na.txt\n');
    assert.equal((await inside(folder.join('mine'), '-q', '--no-sync', '-c', 'pwd; ls -d /work*')).stdout, '/\n');
    const { states } = await json<{ states: unknown[] }>('states', 'mine');
    assert.equal(states.length, 2);
    const failed = await inside('/', '-c', 'cat a.txt');
    assert.match(failed.stderr, /did not go along, for it is a folder of the system; with -s \. it does/);
    assert.doesNotMatch((await inside('/', '-c', 'pwd')).stderr, /go along/);
    assert.match((await inside('/', '--at', '/src', '-c', 'pwd')).stderr, /name it with -s/);
    assert.equal((await inside(folder.join('mine'), '--no-sync', '-s', '.', '-c', 'pwd')).code, 2);
  });

  test('sync --watch prints every new state in a line, until Ctrl-C', async () => {
    mkdirSync(folder.join('watched'), { recursive: true });
    const child = start('sync', '--watch', 'watched');
    const ended = ending(child);
    let printed = '';
    child.stdout.on('data', (bytes: Buffer) => {
      printed += bytes;
    });
    const lines = () => printed.split('\n').filter(line => line !== '');
    await eventually('a first state', () => lines().length === 1);
    writeFileSync(folder.join('watched', 'a'), 'A');
    await eventually('another one after a save', () => lines().length === 2);
    rmSync(folder.join('watched', 'a'));
    await eventually('the first again', () => lines()[2] === lines()[0]);
    child.kill('SIGINT');
    const { code } = await ended;
    assert.equal(code, 0);
    assert.match(printed, /^(ds-[0-9a-f]{40}\n){3}$/);
    assert.equal((await coppice('sync', '--watch', '/dev/null')).code, 2);
  });

  test('--json is one document; of errors too, on stderr', async () => {
    const run = await json<{ exit_code: number; stdout: string }>(...busybox, '-c', 'echo hi');
    assert.deepEqual([run.exit_code, run.stdout], [0, 'hi\n']);
    const failed = await coppice('inspect', 'nothing', '--json');
    assert.deepEqual([failed.code, failed.stdout], [1, '']);
    assert.equal(JSON.parse(failed.stderr).error.code, 'image_not_found');
    for (const words of [
      ['ps'],
      ['images'],
      ['lineage'],
      ['branches'],
      ['sandboxes', '-a'],
      ['states'],
      ['engine'],
      ['doctor'],
      ['version'],
    ])
      await json(...words);
  });

  test('errors are one line with the next step', async () => {
    const line = async (...words: string[]) => {
      const { code, stdout, stderr } = await coppice(...words);
      assert.equal(stdout, '', words.join(' '));
      assert.match(stderr, /^coppice: [^\n]+\n$/, words.join(' '));
      return `${code} ${stderr.trim()}`;
    };
    // One engine, one daemon: asking another is not silently asking the first.
    assert.match(
      await line('import', 'docker-daemon:app', '--docker-host', 'unix:///nowhere'),
      /^\d+ coppice: the engine \(pid \d+\) .*not at unix:\/\/\/nowhere\. Stop it first: coppice engine stop/,
    );
    assert.match(
      await line('run', '-i', 'nothing', '--', 'true'),
      /^125 coppice: no image nothing\. See coppice images/,
    );
    assert.match(
      await line('run'),
      /^2 coppice: nothing to run: give -- PROGRAM ARGS…, or -c LINE\. See coppice help run\.$/,
    );
    assert.match(await line(...busybox, '--timeout=-1', '--', 'true'), /^2 coppice: --timeout: /);
    assert.match(await line(...busybox, '--memory', 'lots', '--', 'true'), /^2 coppice: --memory: is not a size/);
    assert.match(await line('imags'), /^2 coppice: there is no command imags, did you mean images\?/);
    assert.match(await line('tag', 'busybox', 'two words'), /^2 coppice: tag: is not a tag name/);
    assert.match(await line('wait', 'op-0000000000000000'), /^1 coppice: no operation op-0000000000000000/);
    assert.match(await line('prune'), /^2 coppice: nobody is there to be asked: give --yes, or --dry-run/);
    assert.match(await line('cp', 'missing.txt'), /^1 coppice: no file /);
  });

  test('help and completion', async () => {
    const overview = await coppice('help');
    assert.equal(overview.code, 0);
    assert.match(overview.stdout, /^ {2}run +Run a command in a fresh sandbox$/m);
    assert.match((await coppice('run', '--help')).stdout, /-k, --keep/);
    assert.equal((await coppice('completion', 'bash')).code, 0);
    const completed = async (line: string) =>
      (await coppice('__complete', 'bash', '--', line)).stdout.split('\n').map(text => text.split('\t')[0]);
    assert((await completed('coppice run -i bus')).includes('busybox'));
    assert.deepEqual(await completed('coppice run --netw'), ['--network', '']);
  });

  test('bash completes with it', () => {
    const script = `
      coppice() { "$NODE" "$COMMAND" "$@"; }
      source <(coppice completion bash)
      COMP_LINE='coppice lineage bu'; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=(coppice lineage bu); COMP_CWORD=2
      _coppice_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...environment(), NODE: process.execPath, COMMAND: command };
    assert.match(execFileSync('bash', ['-c', script], { env, encoding: 'utf8' }), /^busybox$/m);
  });

  test('a reader that goes away ends it quietly', async () => {
    const script =
      'set -o pipefail; "$NODE" "$COMMAND" run -q -i busybox --network none -c "seq 1 200000" | head -1; echo $?';
    const env = { ...environment(), NODE: process.execPath, COMMAND: command };
    const child = spawn('bash', ['-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const { stdout, stderr } = await ending(child);
    assert.deepEqual([stdout, stderr], ['1\n141\n', '']);
  });

  test('a shell on a terminal, kept', async () => {
    const child = spawn(
      'script',
      ['-qec', `${process.execPath} ${command} shell -i busybox --network none -t shelled`, '/dev/null'],
      {
        cwd: folder.path,
        env: { ...environment(), SHELL: '/bin/sh' },
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    );
    let seen = '';
    child.stdout.on('data', (bytes: Buffer) => {
      seen += bytes.toString();
    });
    await eventually('a prompt', () => /[#$] (\x1b\[(6n|J))?$/.test(seen)).catch(error =>
      assert.fail(`${error}: ${JSON.stringify(seen)}`),
    );
    child.stdin.write('echo $((20 + 22)) > /answer; test -t 0 && echo "a terminal"\r');
    await eventually('its answer', () => /\na terminal/.test(seen));
    child.stdin.write('exit 6\r');
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 6, seen);
    assert.match(seen, /kept [0-9a-f]{8} as shelled/);
    assert.equal((await coppice('cat', 'shelled:/answer')).stdout, '42\n');
  });

  test('the engine, seen and ended', async () => {
    const status = await json<{ up: boolean; pid: number; home: string }>('engine', 'status');
    assert.deepEqual([status.up, status.home], [true, engine.home]);
    assert.match((await coppice('engine', 'log')).stdout, /ready: version/);
    assert.match((await coppice('doctor')).stdout, /native/);
  });
});

test('wipe leaves nothing of a home', { skip: without('host:') }, async () => {
  const folder = new TemporaryFolder();
  try {
    const home = folder.join('home');
    const env = { ...process.env, COPPICE_HOME: home, NO_COLOR: '1' };
    const coppice = (...words: string[]) =>
      ending(spawn(process.execPath, [command, ...words], { env, cwd: folder.path }));
    const kept = await coppice('run', '--keep', '--network', 'none', '-c', 'echo 1 > /root/f');
    assert.equal(kept.code, 0, kept.stderr);
    const wiped = await coppice('engine', 'wipe', '--yes');
    assert.equal(wiped.code, 0, wiped.stderr);
    assert.match(wiped.stdout, /^wiped .*: 2 images, /);
    assert.equal(existsSync(home), false);
  } finally {
    folder[Symbol.dispose]();
  }
});

test('the launcher finds a newer Node beside it, or says what is needed', async () => {
  const old = '/usr/bin/node';
  const version = existsSync(old) ? execFileSync(old, ['--version'], { encoding: 'utf8' }) : 'v99';
  if (Number(version.slice(1).split('.')[0]) >= 22) return; // This machine's own Node is new enough.
  const relaunched = await ending(spawn(old, [command, 'version']));
  assert.equal(relaunched.code, 0, relaunched.stderr);
  assert.doesNotMatch(relaunched.stdout, new RegExp(version.trim().slice(1)));
});

async function ending(child: {
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  once(event: 'close', listener: (code: number | null) => void): unknown;
}): Promise<Ended> {
  const [stdout, stderr, code] = await Promise.all([
    collected(child.stdout),
    collected(child.stderr),
    new Promise<number | null>(resolve => void child.once('close', resolve)),
  ]);
  return { code, stdout, stderr };
}

async function collected(stream: Readable | null): Promise<string> {
  const chunks: Buffer[] = [];
  if (stream) stream.on('data', chunk => chunks.push(chunk));
  if (stream) await once(stream, 'close');
  return Buffer.concat(chunks).toString();
}

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineClient } from '../../src/client/engineClient.ts';
import { followOutput } from '../../src/client/followOutput.ts';
import type { EngineEvent, StreamName } from '../../src/protocol/events.ts';
import type { ProcessView, SandboxStatus } from '../../src/protocol/schemas/sandboxes.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { engineScript } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { descendants, isRunning } from '../harness/processes.ts';
import { othersProcesses, sandboxProcesses, without } from '../harness/testRuntime.ts';

let engine: TestEngine;
let image: string;

before(async () => {
  engine = await startEngine();
  image = await engine.busybox();
});
after(async () => engine[Symbol.asyncDispose]());

type Exec = Partial<VerbInput<'exec'>>;

/** A sandbox for one test, stopped after it. */
class TestSandbox implements AsyncDisposable {
  readonly id: string;
  readonly #client: EngineClient;

  constructor(id: string, client: EngineClient) {
    this.id = id;
    this.#client = client;
  }

  static async create(
    input: VerbInput<'create_sandbox'> = {},
    client: EngineClient = engine.client,
  ): Promise<TestSandbox> {
    const { sandbox_id } = await client.call('create_sandbox', { image, network: 'none', ...input });
    return new TestSandbox(sandbox_id, client);
  }

  exec(command: string[] | string, more: Exec = {}): Promise<ProcessView> {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    return this.#client.call('exec', { sandbox_id: this.id, command: argv, wait: true, ...more });
  }

  async output(command: string[] | string, more: Exec = {}): Promise<string> {
    const process = await this.exec(command, more);
    assert.equal(process.exit_code, 0, await printed(process.process_id, 'stderr'));
    return printed(process.process_id);
  }

  start(command: string[] | string, more: Exec = {}): Promise<ProcessView> {
    return this.exec(command, { ...more, wait: false });
  }

  async status(): Promise<SandboxStatus> {
    return (await engine.client.call('get_sandbox', { sandbox_id: this.id })).status;
  }

  async write(path: string, bytes: Buffer, more: { mode?: number; append?: boolean } = {}): Promise<void> {
    const content_base64 = bytes.toString('base64');
    await this.#client.call('write_sandbox_file', { sandbox_id: this.id, path, content_base64, ...more });
  }

  async read(path: string): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let offset = 0; ; ) {
      const page = await this.#client.call('read_sandbox_file', { sandbox_id: this.id, path, offset });
      pieces.push(Buffer.from(page.content_base64, 'base64'));
      offset = page.next_offset;
      if (page.eof) return Buffer.concat(pieces);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await engine.client.call('stop_sandbox', { sandbox_id: this.id });
  }
}

async function printed(process_id: string, stream: StreamName = 'stdout'): Promise<string> {
  return (await engine.client.call('read_output', { operation_id: process_id, stream, length: 16_000_000 })).text;
}
const prints = (id: string, text: string) =>
  eventually(`${id} prints ${text}`, async () => (await printed(id)).includes(text));
const wait = (process_id: string) => engine.client.call('wait_process', { process_id });
const input = (process_id: string, text: string, close = false) =>
  engine.client.call('write_stdin', { process_id, data: Buffer.from(text).toString('base64'), close });
const newClient = () => EngineClient.connect({ home: engine.home, script: engineScript, start: false }, 'test');
const processesWith = (text: string) =>
  sandboxProcesses(engine.client.engine.pid).filter(process => process.command.includes(text));

describe('a sandbox', () => {
  test('idles, answers, and is gone when it is stopped', async () => {
    const events: EngineEvent[] = [];
    const unsubscribe = await engine.client.subscribe(['sandbox'], event => events.push(event));
    await using sandbox = await TestSandbox.create({ tags: ['contract'] });
    assert.equal(await sandbox.output('echo hello'), 'hello\n');
    assert.equal(await sandbox.status(), 'running');
    const begun = Date.now();
    const stopped = await engine.client.call('stop_sandbox', { sandbox_id: sandbox.id });
    assert.equal(stopped.status, 'terminated');
    assert.ok(Date.now() - begun < 3000);
    await eventually('its end was told', () =>
      events.some(event => event.topic === 'sandbox' && event.sandbox.status === 'terminated'),
    );
    const told = events.flatMap(event =>
      event.topic === 'sandbox' && event.sandbox.sandbox_id === sandbox.id ? [event.sandbox.status] : [],
    );
    const order: SandboxStatus[] = ['pending', 'creating', 'running', 'terminating', 'terminated'];
    assert.deepEqual(
      told,
      told.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)),
    );
    await unsubscribe();
  });

  test('with a command is completed or failed by its exit code, and its output stays', async () => {
    for (const [code, status] of [
      [0, 'completed'],
      [3, 'failed'],
    ] as const) {
      const sandbox = await TestSandbox.create({ command: ['sh', '-c', `echo main; exit ${code}`] });
      await eventually('it is over', async () => (await sandbox.status()) === status);
      const view = await engine.client.call('get_sandbox', { sandbox_id: sandbox.id });
      assert.equal(view.exit_code, code);
      assert.equal(await printed(view.processes[0]!), 'main\n');
    }
  });

  test('whose program is not there is failed with why', async () => {
    const sandbox = await TestSandbox.create({ command: ['/no/such/program'] });
    await eventually('it is over', async () => (await sandbox.status()) === 'failed');
    const view = await engine.client.call('get_sandbox', { sandbox_id: sandbox.id });
    assert.equal(view.error?.code, 'command_not_started');
    await assert.rejects(sandbox.exec('true'), { code: 'command_not_started' });
  });

  test('lays files, takes environment, folder, user and secrets for all its processes', async () => {
    const file = await engine.client.call('upload', { content: 'laid' });
    await using sandbox = await TestSandbox.create({
      env: { A: 'one', B: 'two' },
      secrets: { S: 'three' },
      cwd: '/tmp',
      user: 'nobody',
      files: { '/in/file': file.uuid },
    });
    const line = 'echo $A $B $S; pwd; id -u; cat /in/file';
    assert.equal(await sandbox.output(line, { env: { B: 'own' } }), 'one own three\n/tmp\n65534\nlaid');
    assert.equal(await sandbox.output('id -u; pwd', { user: 'root', cwd: '/var' }), '0\n/var\n');
  });

  test('ends at the end of its lifetime', async () => {
    const sandbox = await TestSandbox.create({ lifetime: 0.5 });
    await eventually('it is over', async () => (await sandbox.status()) === 'terminated');
    await assert.rejects(sandbox.exec('true'), { code: 'conflict' });
  });

  test('does not take a slot, nor does a run of others wait for it', async () => {
    const many = await Promise.all(Array.from({ length: 12 }, () => TestSandbox.create({ tags: ['many'] })));
    await Promise.all(many.map(sandbox => sandbox.exec('true')));
    assert.equal((await engine.run('echo run', { image })).stdout, 'run\n');
    const listed = await engine.client.call('list_sandboxes', { tags: ['many'], status: 'running' });
    assert.equal(listed.sandboxes.length, 12);
    assert.equal((await engine.client.status()).sandboxes >= 12, true);
    await Promise.all(many.map(sandbox => sandbox[Symbol.asyncDispose]()));
    assert.equal((await engine.client.call('list_sandboxes', { tags: ['many'] })).sandboxes.length, 0);
    assert.equal(
      (await engine.client.call('list_sandboxes', { tags: ['many'], show_terminated: true })).sandboxes.length,
      12,
    );
  });

  test('keeps its files and processes to itself', async () => {
    await using one = await TestSandbox.create();
    await using two = await TestSandbox.create();
    await one.exec('echo mine > /mine');
    await one.start('sleep 41336');
    assert.equal(await two.output('ls /mine 2>/dev/null; ps | grep -c "[s]leep 41336"; true'), '0\n');
    assert.equal(await one.output('cat /mine; ps | grep -c "[s]leep 41336"'), 'mine\n1\n');
  });
});

describe('a process', () => {
  test('is its arguments, never a shell’s', async () => {
    await using sandbox = await TestSandbox.create();
    const words = ['a b', '$HOME', '', '*', 'é\n'];
    assert.equal(await sandbox.output(['printf', '[%s]', ...words]), words.map(word => `[${word}]`).join(''));
  });

  test('ends with its exit code; not found is a typed error; the sandbox lives on', async () => {
    await using sandbox = await TestSandbox.create();
    for (const code of [0, 1, 42, 255]) assert.equal((await sandbox.exec(`exit ${code}`)).exit_code, code);
    await assert.rejects(sandbox.exec(['/no/such/program']), { code: 'command_not_started' });
    assert.equal(await sandbox.output('echo alive'), 'alive\n');
  });

  test('many at once do not mix', async () => {
    await using sandbox = await TestSandbox.create();
    const outputs = await Promise.all(
      Array.from({ length: 20 }, (_, n) => sandbox.output(`for i in 1 2 3 4 5; do echo ${n}; done`)),
    );
    for (const [n, output] of outputs.entries()) assert.equal(output, `${n}\n`.repeat(5));
  });

  test('reads what is written to it, in order, to the end', async () => {
    await using sandbox = await TestSandbox.create();
    const { process_id } = await sandbox.start(['cat'], { stdin: 'open' });
    await input(process_id, 'one\n');
    await prints(process_id, 'one');
    await Promise.all([input(process_id, 'two\n'), input(process_id, 'three\n'), input(process_id, '', true)]);
    assert.equal((await wait(process_id)).exit_code, 0);
    assert.equal(await printed(process_id), 'one\ntwo\nthree\n');
    await assert.rejects(input(process_id, 'late'), { code: 'conflict' });
  });

  test('takes megabytes of input as fast as it reads', async () => {
    await using sandbox = await TestSandbox.create();
    const { process_id } = await sandbox.start('sleep 0.3; sha256sum', { stdin: 'open' });
    const piece = Buffer.alloc(1_000_000, 'x');
    const hash = createHash('sha256');
    for (let n = 0; n < 8; n++) {
      hash.update(piece);
      await engine.client.call('write_stdin', { process_id, data: piece.toString('base64'), close: n === 7 });
    }
    await wait(process_id);
    assert.equal((await printed(process_id)).slice(0, 64), hash.digest('hex'));
  });

  test('without input has none', async () => {
    await using sandbox = await TestSandbox.create();
    assert.equal(await sandbox.output('cat; echo end'), 'end\n');
  });

  test('has a terminal of the size it was given, which changes while it runs', async () => {
    await using sandbox = await TestSandbox.create();
    // A signal that is trapped ends `read` early in some shells, so the loop ends by a word.
    const script =
      'trap "stty size" WINCH; tty > /dev/null && stty size; ' +
      'while [ "$line" != quit ]; do line=; read line; echo "got $line"; done';
    const { process_id } = await sandbox.start(script, { tty: { cols: 81, rows: 25 } });
    await prints(process_id, '25 81');
    await engine.client.call('resize', { process_id, cols: 133, rows: 42 });
    await prints(process_id, '42 133');
    await input(process_id, 'typed\n');
    await prints(process_id, 'got typed');
    await input(process_id, 'quit\n');
    assert.equal((await wait(process_id)).exit_code, 0);
  });

  test('sees the end of its terminal’s input at Ctrl-D', async () => {
    await using sandbox = await TestSandbox.create();
    const { process_id } = await sandbox.start(['cat'], { tty: { cols: 80, rows: 24 } });
    await input(process_id, 'line\n');
    await prints(process_id, 'line\r\nline');
    await input(process_id, '\x04');
    assert.equal((await wait(process_id)).exit_code, 0);
  });

  test('gets Ctrl-C on its terminal', async () => {
    await using sandbox = await TestSandbox.create();
    const { process_id } = await sandbox.start(
      "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done",
      {
        tty: { cols: 80, rows: 24 },
      },
    );
    await prints(process_id, 'ready');
    await input(process_id, '\x03');
    assert.equal((await wait(process_id)).exit_code, 5);
    assert.match(await printed(process_id), /interrupted/);
  });

  test('gets signals: handled by itself, or fatal and named', async () => {
    await using sandbox = await TestSandbox.create();
    const handled = await sandbox.start("trap 'echo usr1; exit 9' USR1; echo ready; while :; do sleep 0.05; done");
    await prints(handled.process_id, 'ready');
    await engine.client.call('kill_process', { process_id: handled.process_id, signal: 'SIGUSR1' });
    assert.equal((await wait(handled.process_id)).exit_code, 9);
    assert.equal(await printed(handled.process_id), 'ready\nusr1\n');
    for (const signal of ['SIGTERM', 'SIGKILL']) {
      const { process_id } = await sandbox.start(['sleep', '41337']);
      await eventually('it runs', () => processesWith('sleep 41337').length > 0);
      await engine.client.call('kill_process', { process_id, signal });
      const ended = await wait(process_id);
      assert.equal(ended.signal, signal);
      assert.equal(ended.exit_code, signal === 'SIGTERM' ? 143 : 137);
    }
    assert.equal(await sandbox.output('echo alive'), 'alive\n');
  });

  test('is killed at its timeout with what it started, its output kept', async () => {
    await using sandbox = await TestSandbox.create();
    const process = await sandbox.exec('echo partial; sleep 41338 & sleep 41338', { timeout: 0.5 });
    assert.equal(process.timed_out, true);
    assert.equal(process.signal, 'SIGKILL');
    assert.ok(process.duration_ms! < 3000);
    assert.equal(await printed(process.process_id), 'partial\n');
    await eventually('what it started is gone', () => processesWith('sleep 41338').length === 0);
    assert.equal(await sandbox.status(), 'running');
  });

  test('tells its output live and without gaps', async () => {
    await using sandbox = await TestSandbox.create();
    const process_id = 'pr-00c0ffee0001';
    const pieces: Buffer[] = [];
    const { promise: finished, resolve } = Promise.withResolvers<void>();
    const following = followOutput(
      engine.client,
      process_id,
      { write: (_stream, bytes) => void pieces.push(bytes) },
      finished,
    );
    const process = await sandbox.exec('for i in $(seq 1 2000); do echo "line $i é"; done', { process_id });
    resolve();
    await following;
    assert.equal(process.process_id, process_id);
    assert.equal(
      Buffer.concat(pieces).toString(),
      Array.from({ length: 2000 }, (_, n) => `line ${n + 1} é\n`).join(''),
    );
  });

  test('in the background of another does not keep it from ending', async () => {
    await using sandbox = await TestSandbox.create();
    const process = await sandbox.exec('sleep 41339 & echo started');
    assert.equal(process.exit_code, 0);
    assert.ok(process.duration_ms! < 3000);
    assert.equal(await printed(process.process_id), 'started\n');
    assert.equal(await sandbox.output('ps | grep -c "[s]leep 41339"'), '1\n', 'a service stays');
  });

  test('ends with its sandbox', async () => {
    const sandbox = await TestSandbox.create();
    const { process_id } = await sandbox.start('setsid sleep 41340 & echo up; sleep 41340');
    await prints(process_id, 'up');
    await sandbox[Symbol.asyncDispose]();
    const process = await wait(process_id);
    assert.equal(process.running, false);
    assert.equal(process.signal, 'SIGKILL');
    assert.deepEqual(processesWith('sleep 41340'), []);
  });
});

describe('files of a sandbox', () => {
  test('of nothing, of every byte, and large come back as they were', async () => {
    await using sandbox = await TestSandbox.create();
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const [path, bytes] of [
      ['/empty', Buffer.alloc(0)],
      ['/new/folders/binary', every],
      ['/tmp/näme with spaces', Buffer.from('ünï')],
    ] as const) {
      await sandbox.write(path, bytes);
      assert.deepEqual(await sandbox.read(path), bytes);
    }
    const piece = Buffer.alloc(8_000_000, every);
    const hash = createHash('sha256');
    for (let n = 0; n < 5; n++) {
      hash.update(piece);
      await sandbox.write('/large', piece, { append: n > 0 });
    }
    const digest = hash.digest('hex');
    assert.equal((await sandbox.output('sha256sum /large')).slice(0, 64), digest);
    const back = await sandbox.read('/large');
    assert.equal(createHash('sha256').update(back).digest('hex'), digest);
  });

  test('are seen by processes and the other way round, with the mode asked for', async () => {
    await using sandbox = await TestSandbox.create();
    await sandbox.write('/run.sh', Buffer.from('#!/bin/sh\necho ran\n'), { mode: 0o755 });
    assert.equal(await sandbox.output(['/run.sh']), 'ran\n');
    await sandbox.exec('printf made > /tmp/made; ln -s /tmp/made /link');
    assert.equal((await sandbox.read('/tmp/made')).toString(), 'made');
    assert.equal((await sandbox.read('/link')).toString(), 'made');
    await sandbox.write('/run.sh', Buffer.from('short'));
    assert.equal((await sandbox.read('/run.sh')).toString(), 'short');
  });

  test('that are not there, or are folders, are typed errors', async () => {
    await using sandbox = await TestSandbox.create();
    await assert.rejects(sandbox.read('/none'), { code: 'path_not_found' });
    await assert.rejects(sandbox.read('/tmp'), { code: 'not_a_file' });
    await assert.rejects(sandbox.write('/tmp', Buffer.from('x')));
  });

  test('are listed, looked at, moved and removed without any program inside', async () => {
    await using sandbox = await TestSandbox.create();
    const at = (path: string) => ({ sandbox_id: sandbox.id, path });
    const names = async (path: string) =>
      (await engine.client.call('list_sandbox_files', at(path))).entries.map(entry => entry.name);
    await engine.client.call('make_sandbox_folder', { ...at('/work/a/b'), mode: 0o750 });
    await engine.client.call('make_sandbox_folder', at('/work/a'));
    await sandbox.write('/work/a/one', Buffer.from('1'), { mode: 0o640 });
    await sandbox.output('ln -s one /work/a/link; mkfifo /work/a/pipe');
    assert.deepEqual(await names('/work/a'), ['b', 'link', 'one', 'pipe']);
    const link = await engine.client.call('stat_sandbox_file', at('/work/a/link'));
    assert.deepEqual([link.type, link.link], ['link', 'one']);
    const one = await engine.client.call('stat_sandbox_file', at('/work/a/one'));
    assert.deepEqual([one.type, one.size, one.mode], ['file', 1, 0o640]);
    await engine.client.call('rename_sandbox_file', { ...at('/work/a/one'), to: '/work/new/two' });
    assert.equal(await sandbox.output('cat /work/new/two; ls /work/a'), '1b\nlink\npipe\n');
    await assert.rejects(engine.client.call('remove_sandbox_file', at('/work/a')), { code: 'conflict' });
    await engine.client.call('remove_sandbox_file', { ...at('/work/a'), recursive: true });
    await assert.rejects(engine.client.call('stat_sandbox_file', at('/work/a')), { code: 'path_not_found' });
    await assert.rejects(engine.client.call('remove_sandbox_file', at('/nowhere')), { code: 'path_not_found' });
    // A folder that lies in the image below cannot be renamed by the kernel.
    await engine.client.call('rename_sandbox_file', { ...at('/etc'), to: '/moved' });
    assert.equal(
      await sandbox.output('cat /moved/group; stat -c %a /moved; test -e /etc/group; echo $?'),
      'root:x:0:\nnogroup:x:65534:\n755\n1\n',
    );
  });

  test('are reached through no link that leads out', async () => {
    await using sandbox = await TestSandbox.create();
    const outside = engine.folder.join('outside');
    await sandbox.output(`ln -s ${engine.folder.path} /out; mkdir /own; echo own > /own/file`);
    const at = (path: string) => ({ sandbox_id: sandbox.id, path });
    await engine.client.call('make_sandbox_folder', at(outside));
    assert.equal(existsSync(outside), false);
    // The link leads to the folder of that name inside.
    const { entries } = await engine.client.call('list_sandbox_files', at('/out'));
    assert.deepEqual(
      entries.map(entry => entry.name),
      ['outside'],
    );
    await engine.client.call('rename_sandbox_file', { ...at('/own/file'), to: '/own/../../../../up' });
    assert.equal(await sandbox.output('cat /up'), 'own\n');
  });

  test('never lead out of it, whatever links it makes', async () => {
    await using sandbox = await TestSandbox.create();
    await sandbox.exec(
      'ln -s /../../../../etc /out; ln -s ../../../../../../../../../../etc/hostname /up; ln -s /proc/1/root /proot',
    );
    // What an absolute or climbing link means inside is the sandbox's own.
    assert.match((await sandbox.read('/out/passwd')).toString(), /^root:x:0:0:root:\/root:\/bin\/sh\nnobody/);
    await sandbox.write('/out/written', Buffer.from('inside'));
    assert.equal(await sandbox.output('cat /etc/written'), 'inside');
    const host = await sandbox.read('/proot/etc/passwd').catch(() => Buffer.from('refused'));
    assert.ok(host.includes('nobody:x:65534:65534::/:/bin/sh') || host.toString() === 'refused');
  });
});

describe('a snapshot', () => {
  test('is an image of the files as they are now; the sandbox goes on', async () => {
    await using sandbox = await TestSandbox.create();
    await sandbox.exec('echo one > /data');
    const first = await engine.client.call('snapshot', { sandbox_id: sandbox.id, tag: 'contract/first' });
    await sandbox.exec('echo two > /data; rm /etc/group');
    const second = await engine.client.call('snapshot', { sandbox_id: sandbox.id });
    assert.equal(first.filesystem_changed, true);
    assert.equal(
      (await engine.run('cat /data; ls /etc/group', { image: 'tag:contract/first' })).stdout,
      'one\n/etc/group\n',
    );
    assert.equal((await engine.run('cat /data; ls /etc/group 2>/dev/null', { image: second.image })).stdout, 'two\n');
    assert.equal(await sandbox.output('cat /data'), 'two\n');
    const lineage = await engine.client.call('lineage', { image: second.image });
    assert.deepEqual(
      lineage.ancestors.map(ancestor => ancestor.image),
      [first.image, image],
    );
    const operation = await engine.client.call('get_operation', { operation_id: second.operation_id });
    assert.deepEqual([operation.kind, operation.status, operation.result_image], ['snapshot', 'SUCCESS', second.image]);
  });

  test('of nothing written is the image it runs on', async () => {
    await using sandbox = await TestSandbox.create();
    await sandbox.exec('cat /etc/passwd > /dev/null');
    const taken = await engine.client.call('snapshot', { sandbox_id: sandbox.id });
    assert.deepEqual([taken.image, taken.filesystem_changed], [image, false]);
  });

  test('starts other sandboxes', async () => {
    await using sandbox = await TestSandbox.create();
    await sandbox.exec('mkdir /work; echo kept > /work/file');
    const { image: kept } = await engine.client.call('snapshot', { sandbox_id: sandbox.id });
    const branches = await Promise.all([1, 2, 3].map(() => TestSandbox.create({ image: kept })));
    await Promise.all(branches.map((branch, n) => branch.exec(`echo ${n} >> /work/file`)));
    for (const [n, branch] of branches.entries()) {
      assert.equal(await branch.output('cat /work/file'), `kept\n${n}\n`);
      await branch[Symbol.asyncDispose]();
    }
  });
});

describe('a lease', () => {
  test('ends with the connection; what is detached stays', async () => {
    const client = await newClient();
    const leased = await TestSandbox.create({}, client);
    await leased.start('sleep 41341');
    await using detached = await TestSandbox.create({ detached: true }, client);
    await detached.exec('echo stays > /file');
    client.close();
    await eventually('the leased one is over', async () => (await leased.status()) === 'terminated');
    assert.deepEqual(processesWith('sleep 41341'), []);
    const { process_id } = await engine.client.call('exec', {
      sandbox_id: detached.id,
      command: ['cat', '/file'],
      wait: true,
    });
    assert.equal(await printed(process_id), 'stays\n');
  });

  test('is over also for one asked for right before the connection closed', async () => {
    const client = await newClient();
    const asked = client.call('create_sandbox', { sandbox_id: 'sb-00dead0001', image, network: 'none' });
    asked.catch(() => undefined);
    await client.call('list_sandboxes', {});
    client.close();
    await eventually('nothing of it lives', async () => {
      const { sandboxes } = await engine.client.call('list_sandboxes', { limit: 1000 });
      return !sandboxes.some(sandbox => sandbox.sandbox_id === 'sb-00dead0001');
    });
  });

  test('of another client does not keep one from using the sandbox', async () => {
    await using sandbox = await TestSandbox.create();
    const client = await newClient();
    const process = await client.call('exec', { sandbox_id: sandbox.id, command: ['echo', 'x'], wait: true });
    client.close();
    assert.equal(await printed(process.process_id), 'x\n');
    assert.equal(await sandbox.status(), 'running');
  });
});

test('a live sandbox keeps the engine from being asked to go', async () => {
  await using sandbox = await TestSandbox.create();
  await sandbox.exec('true');
  const { stopping, busy } = await engine.client.stopEngine(false);
  assert.equal(stopping, false);
  assert.ok(busy >= 1);
});

test('an engine that nobody is connected to stays for a detached sandbox, and goes when that is over', async () => {
  const before = process.env.COPPICE_IDLE_STOP;
  process.env.COPPICE_IDLE_STOP = '1';
  try {
    await using second = await startEngine();
    const { pid } = second.client.engine;
    const base = await second.busybox();
    await second.client.call('create_sandbox', {
      sandbox_id: 'sb-00de7ac4ed',
      image: base,
      network: 'none',
      detached: true,
      lifetime: 4,
    });
    second.client.close();
    await sleep(2500);
    assert.ok(isRunning(pid), 'the sandbox lives');
    await eventually('it is idle and goes', () => !isRunning(pid), 15);
  } finally {
    if (before === undefined) delete process.env.COPPICE_IDLE_STOP;
    else process.env.COPPICE_IDLE_STOP = before;
  }
});

test('when the runtime’s own process dies, what ran in it ends truthfully and the next starts', {
  skip: without('native host'),
}, async () => {
  await using second = await startEngine();
  const base = await second.busybox();
  const { client } = second;
  const { sandbox_id } = await client.call('create_sandbox', { image: base, network: 'none' });
  const { process_id } = await client.call('exec', {
    sandbox_id,
    command: ['sh', '-c', 'echo so far; sleep 41343'],
  });
  const run = await client.call('run', {
    image: base,
    command: 'echo so far; sleep 41343',
    network: 'none',
    timeout: 0,
    wait: false,
  });
  const output = async (id: string) => (await client.call('read_output', { operation_id: id })).text;
  for (const id of [process_id, run.operation_id])
    await eventually(`${id} prints`, async () => (await output(id)) === 'so far\n');
  const host = descendants(client.engine.pid).find(process => process.command.includes('native-host.js {'));
  process.kill(host!.pid, 'SIGKILL');

  await assert.rejects(client.call('wait_process', { process_id }), { code: 'interrupted' });
  const view = await eventually('the sandbox is over', async () => {
    const now = await client.call('get_sandbox', { sandbox_id });
    return now.status === 'failed' && now;
  });
  assert.equal(view.error?.code, 'interrupted');
  const { results } = await client.call('wait_operations', { operation_ids: [run.operation_id] });
  assert.equal(results[run.operation_id]!.error?.code, 'interrupted');
  for (const id of [process_id, run.operation_id]) assert.equal(await output(id), 'so far\n');
  await eventually('nothing of it runs', () =>
    descendants(client.engine.pid).every(process => !process.command.includes('41343')),
  );
  assert.equal((await second.run('echo again', { image: base })).stdout, 'again\n');
});

test('none of a killed engine’s sandboxes is left, and none is claimed to be', async () => {
  const others = othersProcesses();
  await using second = await startEngine();
  const base = await second.busybox();
  const { sandbox_id } = await second.client.call('create_sandbox', { image: base, network: 'none', detached: true });
  await second.client.call('exec', { sandbox_id, command: ['sleep', '41342'] });
  const { pid } = second.client.engine;
  const before = await eventually('it runs', () => {
    const now = sandboxProcesses(pid).filter(process => !others.has(process.pid));
    return now.some(process => process.command.includes('sleep 41342')) && now;
  });
  process.kill(pid, 'SIGKILL');
  await second.client.closed;
  const client = await EngineClient.connect({ home: second.home, script: engineScript, start: true }, 'test');
  assert.deepEqual((await client.call('list_sandboxes', { show_terminated: true })).sandboxes, []);
  await eventually('its processes are gone', () => {
    const now = [...descendants(1), ...sandboxProcesses(1)];
    return !before.some(process => now.some(each => each.pid === process.pid && each.command === process.command));
  });
  client.close();
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { socketPath } from '../../src/protocol/endpoint.ts';
import { CoppiceHome, engineScript } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';
import { type Ended, runProgram } from './program.ts';

/** Whatever happens while a program is held in `.get()`, it ends with a typed error, and soon. */

interface Told {
  readonly name?: string;
  readonly code?: string;
  readonly milliseconds?: number;
  readonly [more: string]: unknown;
}

process.env.COPPICE_IMAGE = 'tag:busybox';

/** Until then it must have ended, on however busy a machine. */
const SECONDS = 30;

/** Calls `whenReady` each time the program says that it blocks. */
async function hang(
  name: string,
  home: string,
  whenReady: (pid: number, time: number) => unknown = () => {},
): Promise<{ readonly told: readonly Told[]; readonly ended: Ended }> {
  let times = 0;
  const onOutput = (text: string, pid: number) => {
    const ready = text.split('\n').filter(line => line === '{"ready":true}').length;
    while (times < ready) whenReady(pid, ++times);
  };
  const env = { COPPICE_HOME: home };
  const ended = await runProgram('programs/hang.mjs', { env, args: [name], seconds: SECONDS, onOutput });
  assert.notEqual(ended.signal, 'SIGKILL', `it hung: ${ended.stdout} ${ended.stderr}`);
  const lines = ended.stdout.split('\n').filter(line => line !== '' && line !== '{"ready":true}');
  return { told: lines.map(line => JSON.parse(line) as Told), ended };
}

async function engineOfOwn(): Promise<TestEngine> {
  const engine = await startEngine();
  await engine.busybox();
  return engine;
}

/** Well under the ten seconds that are promised, on an idle machine under one. */
const soon = (told: Told | undefined) => assert.ok((told?.milliseconds ?? 1e9) < 10_000, JSON.stringify(told));
const errors = (told: readonly Told[]) => told.map(({ name, code }) => [name, code]);

describe('an engine', () => {
  test('that is aborted ends the wait, and the next call starts another', async () => {
    await using engine = await engineOfOwn();
    const { told } = await hang('blocked, then asks again', engine.home, () =>
      process.kill(engine.client.engine.pid, 'SIGABRT'),
    );
    assert.deepEqual(errors(told), [
      ['EngineDiedError', 'engine_died'],
      ['nothing', undefined],
    ]);
    soon(told[0]);
  });

  test('that is stopped ends the wait', async () => {
    await using engine = await engineOfOwn();
    const { pid } = engine.client.engine;
    try {
      const { told } = await hang('blocked', engine.home, () => process.kill(pid, 'SIGSTOP'));
      assert.deepEqual(errors(told), [['EngineDiedError', 'engine_died']]);
      assert.match(String(told[0]?.message), /is stopped/);
      for (const each of told) soon(each);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('that runs out of memory ends the wait', async () => {
    await using home = new CoppiceHome();
    const args = ['--max-old-space-size=24', engineScript, '--home', home.path];
    const engine = spawn(process.execPath, args, { stdio: 'ignore', env: { ...process.env, ...home.env } });
    const gone = once(engine, 'exit');
    // That very one: whoever connects where none answers yet starts another.
    await eventually('the engine listens', () => existsSync(socketPath(home.path)), 30);
    const client = await home.connect();
    assert.equal(client.engine.pid, engine.pid);
    const folder = new TemporaryFolder();
    const { makeBusyboxRootfs } = await import('../harness/busyboxRootfs.ts');
    mkdirSync(folder.join('rootfs'));
    await client.call('import_image', {
      registry_url: `rootfs:${makeBusyboxRootfs(folder.join('rootfs'))}`,
      tag: 'busybox',
    });
    folder[Symbol.dispose]();
    const { told } = await hang('out of memory', home.path);
    assert.deepEqual(errors(told), [['EngineDiedError', 'engine_died']]);
    const [code, signal] = await gone;
    assert.ok(signal === 'SIGABRT' || signal === 'SIGTRAP' || code !== 0, `${code} ${signal}`);
    client.close();
  });

  test('whose socket is cut ends the wait', async () => {
    await using engine = await engineOfOwn();
    using front = new TemporaryFolder();
    const address = socketPath(front.path);
    mkdirSync(path.dirname(address), { recursive: true, mode: 0o700 });
    const sockets: Socket[] = [];
    const proxy = createServer(client => {
      const back = connect(socketPath(engine.home));
      sockets.push(client, back);
      for (const socket of [client, back]) socket.on('error', () => socket.destroy());
      client.pipe(back).pipe(client);
    }).listen(address);
    await once(proxy, 'listening');
    const { told } = await hang('blocked', front.path, () => {
      for (const socket of sockets) socket.destroy();
    });
    assert.deepEqual(errors(told), [['EngineDiedError', 'engine_died']]);
    soon(told[0]);
    proxy.close();
  });
});

describe('a wait', () => {
  test('that can never end is refused: in a callback, and for an async upload', async () => {
    await using engine = await engineOfOwn();
    const deadlock = ['WouldDeadlockError', 'would_deadlock'];
    const inside = await hang('in a callback', engine.home);
    assert.deepEqual(errors(inside.told), [deadlock, deadlock]);
    const { told } = await hang('async upload', engine.home);
    assert.deepEqual(errors([told[0]!, told[2]!]), [deadlock, deadlock]);
    assert.deepEqual([told[1]?.stdout, told[3]?.stdout], ['one two', 'one two']);
    assert.equal(inside.ended.code, 0);
  });

  test('ends at Ctrl-C, with and without listeners, also the second time', async () => {
    await using engine = await engineOfOwn();
    // Short waits are not looked after: a while later it is a long one.
    const interrupt = async (pid: number) => {
      await sleep(400);
      process.kill(pid, 'SIGINT');
    };
    const plain = await hang('Ctrl-C', engine.home, interrupt);
    assert.deepEqual([plain.ended.code, plain.ended.signal], [130, null]);
    assert.match(plain.ended.stderr, /InterruptedError: interrupted by Ctrl-C/);
    const listening = await hang('Ctrl-C with a listener, twice', engine.home, interrupt);
    const interrupted = ['InterruptedError', 'interrupted'];
    assert.deepEqual(errors(listening.told.slice(0, 2)), [interrupted, interrupted]);
    assert.equal(listening.told[2]?.heard, 2);
    assert.equal(listening.ended.code, 0);
    const twice = await hang('Ctrl-C twice', engine.home, interrupt);
    assert.deepEqual(twice.told, [{ caught: true, exitCode: 130 }, { stdout: 'goes on\n' }]);
    assert.equal(twice.ended.code, 130);
  });
});

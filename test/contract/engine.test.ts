import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';
import type { EngineClient } from '../../src/client/engineClient.ts';
import { socketPath } from '../../src/protocol/endpoint.ts';
import { CoppiceError, toWireError } from '../../src/protocol/errors.ts';
import { type EngineInfo, helloRequest, PROTOCOL_VERSION, stopRequest } from '../../src/protocol/rpc.ts';
import { VERSION } from '../../src/protocol/version.ts';
import { ClientProcess } from '../harness/clientProcess.ts';
import { CoppiceHome } from '../harness/coppiceHome.ts';
import { startEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { descendants, isRunning } from '../harness/processes.ts';
import { othersProcesses, sandboxProcesses, without } from '../harness/testRuntime.ts';

const isRoot = process.getuid?.() === 0;
const running = async (client: EngineClient, id: string) =>
  (await client.call('get_operation', { operation_id: id })).status === 'EXECUTING';

describe('one engine per home', () => {
  test('twenty client processes at once share one engine', async () => {
    await using home = new CoppiceHome();
    const clients = Array.from({ length: 20 }, () => new ClientProcess(home.path, home.env));
    try {
      const infos = await Promise.all(clients.map(client => client.engine));
      assert.equal(new Set(infos.map(info => info.pid)).size, 1);
    } finally {
      for (const client of clients) client[Symbol.dispose]();
    }
  });

  test('its socket is for its user alone', async () => {
    await using home = new CoppiceHome();
    const client = await home.connect();
    const socket = socketPath(home.path);
    assert.equal((statSync(socket).mode & 0o777).toString(8), '600');
    assert.equal((statSync(path.dirname(socket)).mode & 0o777).toString(8), '700');
    client.close();
  });

  test('what a killed engine leaves does not stop the next', async () => {
    await using home = new CoppiceHome();
    const first = await home.connect();
    process.kill(first.engine.pid, 'SIGKILL');
    await first.closed;
    assert.ok(statSync(socketPath(home.path)).isSocket(), 'the stale socket lies there');
    const second = await home.connect();
    assert.notEqual(second.engine.pid, first.engine.pid);
    second.close();
  });

  test('a file that is no socket at its address does not stop it either', async () => {
    await using home = new CoppiceHome();
    const address = socketPath(home.path);
    mkdirSync(path.dirname(address), { recursive: true });
    writeFileSync(address, 'not a socket');
    const client = await home.connect();
    assert.equal((await client.status()).home, home.path);
    client.close();
  });

  test('calls that wait when the engine is killed say so', async () => {
    await using engine = await startEngine();
    await engine.busybox();
    const call = engine.run('sleep 60', { image: 'tag:busybox' });
    const failure = assert.rejects(
      call,
      (error: unknown) => error instanceof CoppiceError && error.code === 'engine_died',
    );
    await eventually('the run started', async () => (await engine.client.status()).running === 1);
    process.kill(engine.client.engine.pid, 'SIGKILL');
    await failure;
  });
});

describe('its end', () => {
  test('it stops when nobody needs it, not while a client is there', async () => {
    await using home = new CoppiceHome();
    const holder = new ClientProcess(home.path, { COPPICE_IDLE_STOP: '1' });
    const { pid } = await holder.engine;
    await sleep(2500);
    assert.ok(isRunning(pid), 'a client is connected');
    await holder.kill();
    await eventually('the engine stopped', () => !isRunning(pid));
  });

  test('it stops when its home is deleted under it, also while a client is there', async () => {
    await using home = new CoppiceHome();
    const client = await home.connect();
    const { pid } = client.engine;
    rmSync(home.path, { recursive: true });
    await eventually('the engine stopped', () => !isRunning(pid));
    client.close();
  });

  test('a home that was deleted and made anew is the new engine’s: the old one goes and leaves it alone', async () => {
    await using home = new CoppiceHome();
    const old = await home.connect();
    rmSync(home.path, { recursive: true });
    mkdirSync(home.path, { mode: 0o700 });
    const client = await home.connect();
    assert.notEqual(client.engine.pid, old.engine.pid);
    await eventually('the old engine stopped', () => !isRunning(old.engine.pid));
    client.close();
    old.close();
    const again = await home.connect();
    assert.equal(again.engine.pid, client.engine.pid);
    again.close();
  });

  test('it does not stop while operations run, unless it must', async () => {
    const others = othersProcesses();
    await using engine = await startEngine();
    await engine.busybox();
    const { operation_id } = await engine.client.call('run', {
      command: 'sleep 60',
      image: 'tag:busybox',
      wait: false,
      network: 'none',
    });
    await eventually('it runs', () => running(engine.client, operation_id));
    assert.deepEqual(await engine.client.stopEngine(false), { stopping: false, busy: 1 });
    assert.ok(await running(engine.client, operation_id));
    const below = [...descendants(engine.client.engine.pid), ...sandboxProcesses(engine.client.engine.pid)].filter(
      ({ pid }) => !others.has(pid),
    );
    assert.equal((await engine.client.stopEngine(true)).stopping, true);
    await eventually('engine and sandbox are gone', () =>
      [engine.client.engine.pid, ...below.map(({ pid }) => pid)].every(pid => !isRunning(pid)),
    );
  });
});

describe('versions', () => {
  test('an idle older engine makes room', async () => {
    await using home = new CoppiceHome();
    const older = await pretendEngine(home.path, { version: '0.0.1' });
    const client = await home.connect();
    assert.deepEqual(older.asked, ['hello', 'stop']);
    assert.equal(client.engine.version, VERSION);
    client.close();
  });

  test('a busy older engine that does not understand us is named', async () => {
    await using home = new CoppiceHome();
    const older = await pretendEngine(home.path, { version: '0.0.1', protocol: PROTOCOL_VERSION + 1, running: 2 });
    await assert.rejects(home.connect(), (error: unknown) => {
      assert.ok(error instanceof CoppiceError);
      assert.equal(error.code, 'version_mismatch');
      assert.match(error.message, /0\.0\.1/);
      assert.match(error.fix ?? '', /coppice engine stop/);
      return true;
    });
    await older.close();
  });

  test('a busy older engine that understands us serves us', async () => {
    await using home = new CoppiceHome();
    const older = await pretendEngine(home.path, { version: '0.0.1', running: 1 });
    const client = await home.connect();
    assert.equal(client.engine.version, '0.0.1');
    client.close();
    await older.close();
  });
});

describe('clients that go', () => {
  test('a client killed in the middle takes its waiting run along, not the others', async () => {
    await using engine = await startEngine();
    await engine.busybox();
    const client = new ClientProcess(engine.home);
    const waiting = client.call('run', { command: 'sleep 61', image: 'tag:busybox', network: 'none', timeout: 0 });
    waiting.catch(() => undefined); // It dies with its process.
    const going = await client.call('run', {
      command: 'sleep 2; echo done',
      image: 'tag:busybox',
      network: 'none',
      wait: false,
    });
    const sleeper = await eventually('both run', async () => {
      const { operations } = await engine.client.call('list_operations', { status: 'EXECUTING' });
      return operations.length === 2 && operations.find(operation => operation.title === 'sleep 61');
    });
    await client.kill();
    await eventually('its run is cancelled', async () => {
      const { status } = await engine.client.call('get_operation', { operation_id: sleeper.operation_id });
      return status === 'CANCELLED';
    });
    const { results } = await engine.client.call('wait_operations', {
      operation_ids: [going.operation_id],
      timeout: 20,
    });
    assert.equal(results[going.operation_id]?.stdout, 'done\n');
  });

  test('a hundred queued by one do not hold up the one of another', async () => {
    await using engine = await startEngine();
    await engine.busybox();
    using greedy = new ClientProcess(engine.home);
    const queued = Array.from({ length: 100 }, () =>
      greedy.call('run', { command: 'sleep 0.2', image: 'tag:busybox', network: 'none', wait: false }),
    );
    await Promise.all(queued);
    const single = await engine.run('true', { image: 'tag:busybox' });
    assert.equal(single.status, 'SUCCESS');
    const { queued: left } = await engine.client.status();
    assert.ok(left > 50, `${left} of the hundred are still queued`);
    await engine.client.stopEngine(true);
  });
});

describe('parts that die', () => {
  test('a main process killed from outside ends its run with the signal', async () => {
    await using engine = await startEngine();
    await engine.busybox();
    const run = engine.run('sleep 62', { image: 'tag:busybox', shell: false, command: 'sleep', args: ['62'] });
    process.kill(await processOf(engine.client, 'sleep 62'), 'SIGKILL');
    const result = await run;
    assert.equal(result.status, 'FAILED');
    assert.equal(result.signal, 'SIGKILL');
    assert.equal(result.exit_code, 137);
  });

  test('a killed container launcher ends the run, typed, and nothing stays', {
    skip: without('small containers'),
  }, async () => {
    await using engine = await startEngine();
    await engine.busybox();
    const run = engine.run('echo before; sleep 63', { image: 'tag:busybox' });
    const command = await processOf(engine.client, 'sleep 63');
    const launcher = descendants(engine.client.engine.pid).find(({ command }) =>
      /\b(crun|runc)\b.* run /.test(command),
    );
    assert.ok(launcher, 'there is a crun or runc');
    process.kill(launcher.pid, 'SIGKILL');
    const result = await run;
    assert.equal(result.status, 'FAILED');
    await eventually('its process is gone', () => !isRunning(command));
    assert.equal((await engine.run('echo after', { image: 'tag:busybox' })).stdout, 'after\n');
    await eventually('its folder is gone', () => runFolders(engine.home).length === 0);
  });

  test('a killed namespace host ends its runs, typed, and the next run works', {
    skip: without('native host'),
  }, async () => {
    await using engine = await startEngine();
    await engine.busybox();
    const run = engine.run('sleep 64', { image: 'tag:busybox' });
    const command = await processOf(engine.client, 'sleep 64');
    const host = descendants(engine.client.engine.pid).find(({ command }) => /native-host\.js/.test(command));
    assert.ok(host, 'there is a namespace host');
    process.kill(host.pid, 'SIGKILL');
    const result = await run;
    assert.equal(result.status, 'FAILED');
    assert.equal(result.error?.code, 'interrupted');
    await eventually('its process is gone', () => !isRunning(command));
    const next = await engine.run('echo after', { image: 'tag:busybox' });
    assert.equal(next.stdout, 'after\n');
  });
});

describe('a full disk', { skip: isRoot ? without('own disk') : 'mounting a small disk needs root' }, () => {
  test('is told as such, and nothing half-made stays', async () => {
    await using home = new CoppiceHome();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=0700', 'coppice-test', home.path]);
    try {
      const client = await home.connect();
      try {
        await fillDisk(client, home.path);
      } finally {
        client.close();
        await home.stopEngine();
      }
    } finally {
      execFileSync('umount', ['--lazy', home.path]);
    }
  });
});

async function fillDisk(client: EngineClient, home: string): Promise<void> {
  await using other = await startEngine();
  const base = await client.call('import_image', {
    registry_url: `rootfs:${await smallRootfs(other.folder.path)}`,
    tag: 'small',
  });
  assert.equal(base.status, 'SUCCESS', base.error?.message);
  const images = (await client.call('list_images', {})).total;
  const layers = readdirSync(path.join(home, 'native', 'layers')).length;

  const large = other.folder.join('large');
  mkdirSync(large);
  for (let n = 0; n < 10; n++) writeFileSync(path.join(large, `f${n}`), Buffer.alloc(10_000_000, n));
  const imported = await client.call('import_image', { registry_url: `rootfs:${large}` });
  assert.equal(imported.status, 'FAILED');
  assert.equal(imported.error?.code, 'disk_full');

  writeFileSync(other.folder.join('blob'), Buffer.alloc(100_000_000, 7));
  const upload = client.call('upload', { path: other.folder.join('blob') });
  await assert.rejects(upload, (error: unknown) => error instanceof CoppiceError && error.code === 'disk_full');

  // Either the command meets the full disk, or already the record of its run.
  const fill = { command: 'dd if=/dev/zero of=/big bs=1M count=100', image: 'tag:small', network: 'none' } as const;
  const filled = await client.call('run', { ...fill, disposable: false }).catch(toWireError);
  if ('code' in filled) assert.equal(filled.code, 'disk_full');
  else assert.equal(filled.status, 'FAILED');
  if ('result_image' in filled && filled.result_image !== null && filled.result_image !== base.image)
    await client.call('remove_image', { image: filled.result_image, force: true });

  assert.equal((await client.call('list_images', {})).total, images);
  await eventually('its layer is gone', () => readdirSync(path.join(home, 'native', 'layers')).length === layers);
  await eventually('its folder is gone', () => runFolders(home).length === 0);
  const after = await eventually('there is room again', async () => {
    const again = { command: 'echo well', image: 'tag:small', network: 'none' } as const;
    const result = await client.call('run', again).catch(toWireError);
    return 'stdout' in result && result;
  });
  assert.equal(after.stdout, 'well\n');
}

/** busybox alone: a disk of 48 MB holds it beside the store. */
async function smallRootfs(folder: string): Promise<string> {
  const { makeBusyboxRootfs } = await import('../harness/busyboxRootfs.ts');
  const rootfs = path.join(folder, 'small');
  rmSync(rootfs, { recursive: true, force: true });
  mkdirSync(rootfs);
  return makeBusyboxRootfs(rootfs);
}

/** The pid of the process with exactly this command line in some sandbox of the engine. */
function processOf(client: EngineClient, command: string): Promise<number> {
  return eventually(
    `${command} runs`,
    () => sandboxProcesses(client.engine.pid).find(each => each.command === command)?.pid,
  );
}

/** What runs have left; a root prepared for the next one is none of theirs. */
function runFolders(home: string): readonly string[] {
  return readdirSync(path.join(home, 'native', 'runs')).filter(name => !name.startsWith('spare-'));
}

/** Something at the engine's address that answers as an engine of another version would. */
async function pretendEngine(home: string, as: Partial<EngineInfo>) {
  const address = socketPath(home);
  mkdirSync(path.dirname(address), { recursive: true });
  const asked: string[] = [];
  const info: EngineInfo = {
    protocol: PROTOCOL_VERSION,
    version: VERSION,
    pid: process.pid,
    home,
    started_at: new Date().toISOString(),
    clients: 1,
    running: 0,
    queued: 0,
    sandboxes: 0,
    memory_bytes: 0,
    idle_stop_seconds: 600,
    ...as,
  };
  const server = createServer(socket => {
    const connection = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
    connection.onRequest(helloRequest, () => {
      asked.push('hello');
      return info;
    });
    connection.onRequest(stopRequest, () => {
      asked.push('stop');
      setTimeout(() => {
        server.close();
        socket.end();
      }, 20);
      return { stopping: true, busy: 0 };
    });
    connection.listen();
  });
  await new Promise<void>(resolve => server.listen(address, resolve));
  return {
    asked,
    close: () => new Promise<void>(resolve => server.close(() => resolve())),
  };
}

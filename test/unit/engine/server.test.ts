import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  SocketMessageReader,
  SocketMessageWriter,
} from 'vscode-jsonrpc/node';
import type { Call } from '../../../src/engine/call.ts';
import { EventBus } from '../../../src/engine/eventBus.ts';
import { Log } from '../../../src/engine/log.ts';
import { OutputFeed } from '../../../src/engine/operations/outputFeed.ts';
import { Server } from '../../../src/engine/server.ts';
import { Spools } from '../../../src/engine/store/spools.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import type { EngineEvent, Topic } from '../../../src/protocol/events.ts';
import {
  COPPICE_ERROR,
  callRequest,
  type EngineInfo,
  eventNotification,
  helloRequest,
  PROTOCOL_VERSION,
  subscribeRequest,
  unsubscribeRequest,
} from '../../../src/protocol/rpc.ts';
import { gate, temporaryHome } from './parts.ts';

const info: EngineInfo = {
  protocol: PROTOCOL_VERSION,
  version: '1.2.3',
  pid: process.pid,
  home: '/home',
  started_at: new Date(0).toISOString(),
  clients: 0,
  running: 0,
  queued: 0,
  sandboxes: 0,
  memory_bytes: 0,
  idle_stop_seconds: 1,
};

class Client implements Disposable {
  readonly socket: Socket;
  readonly rpc: MessageConnection;
  readonly events: EngineEvent[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.rpc = createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
    this.rpc.onNotification(eventNotification, ({ event }) => {
      this.events.push(event);
    });
    this.rpc.onError(() => undefined);
    this.rpc.listen();
  }

  static async to(address: string): Promise<Client> {
    const socket = connect(address);
    await once(socket, 'connect');
    return new Client(socket);
  }

  hello(): Promise<EngineInfo> {
    return this.rpc.sendRequest(helloRequest, {
      protocol: PROTOCOL_VERSION,
      version: '0',
      client: 'sdk',
      pid: process.pid,
    });
  }

  subscribe(subscription: number, topics: readonly Topic[], sources?: readonly string[]): Promise<null> {
    return this.rpc.sendRequest(subscribeRequest, { subscription, topics, ...(sources ? { sources } : {}) });
  }

  call(verb: string, input: unknown = {}): Promise<unknown> {
    return this.rpc.sendRequest(callRequest, { verb, input });
  }

  [Symbol.dispose](): void {
    this.rpc.dispose();
    this.socket.destroy();
  }
}

let home: string;
let address: string;
let events: EventBus;
let spools: Spools;
let feed: OutputFeed;
let server: Server;
let gone: string[];
let work: (verb: string, input: unknown, call: Call) => Promise<unknown>;

beforeEach(async () => {
  home = temporaryHome();
  address = path.join(home, 'engine', 'engine.sock');
  events = new EventBus();
  spools = new Spools(home);
  feed = new OutputFeed(spools);
  const went: string[] = [];
  gone = went;
  work = async (verb, input) => ({ verb, input });

  mkdirSync(path.join(home, 'log'));
  server = new Server({
    address,
    events,
    feed,
    log: new Log(path.join(home, 'log', 'engine.log')),
    info: () => info,
    dispatch: (verb, input, call) => work(verb, input, call),
    stop: () => ({ stopping: false, busy: 0 }),
    onClients: () => {},
    onGone: id => went.push(id),
  });
  await server.listen();
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const operationEvent = (id: number, title = 'x'): EngineEvent =>
  ({ topic: 'operation', operation: { operation_id: `op-${id}`, title } }) as unknown as EngineEvent;

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition(); await sleep(5))
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
}

describe('the private socket', () => {
  test('is for its user only, and a stale one is no obstacle', async () => {
    assert.equal(statSync(address).mode & 0o777, 0o600);
    assert.equal(statSync(path.dirname(address)).mode & 0o777, 0o700);
  });

  test('tells versions when greeted', async () => {
    using client = await Client.to(address);
    const answer = await client.hello();
    assert.equal(answer.protocol, PROTOCOL_VERSION);
    assert.equal(answer.version, '1.2.3');
    assert.equal(answer.pid, process.pid);
  });

  test('serves twenty at once, each its own answers', async () => {
    work = async (_verb, input) => {
      await sleep(Math.random() * 20);
      return input;
    };
    const clients = await Promise.all(Array.from({ length: 20 }, () => Client.to(address)));
    await until(() => server.clients === 20, 'all are counted');
    const answers = await Promise.all(
      clients.flatMap((client, index) => [0, 1, 2, 3, 4].map(n => client.call('echo', { index, n }))),
    );
    assert.deepEqual(
      answers,
      clients.flatMap((_client, index) => [0, 1, 2, 3, 4].map(n => ({ index, n }))),
    );
    for (const client of clients) client[Symbol.dispose]();
    await until(() => server.clients === 0, 'all are gone');
    assert.equal(gone.length, 20);
    assert.equal(new Set(gone).size, 20);
  });

  test('carries errors typed, and hides none', async () => {
    work = async () => {
      throw new CoppiceError('image_not_found', 'no image x', { field: 'image', fix: 'Look.', data: { image: 'x' } });
    };
    using client = await Client.to(address);
    await assert.rejects(client.call('run'), (error: unknown) => {
      assert.ok(error instanceof ResponseError);
      assert.equal(error.code, COPPICE_ERROR);
      assert.deepEqual(error.data, {
        code: 'image_not_found',
        message: 'no image x',
        field: 'image',
        fix: 'Look.',
        data: { image: 'x' },
      });
      return true;
    });
  });

  test('aborts the calls of a client that goes, and of no other', async () => {
    const signals: AbortSignal[] = [];
    const held = gate();
    work = async (_verb, _input, call) => {
      signals.push(call.signal);
      await held.opened;
      return null;
    };
    using stays = await Client.to(address);
    const goes = await Client.to(address);
    const answer = stays.call('slow');
    goes.call('slow').catch(() => undefined);
    await until(() => signals.length === 2, 'both were asked');
    goes.socket.destroy();
    await until(() => gone.length === 1, 'one is gone');
    assert.deepEqual(signals.map(signal => signal.aborted).sort(), [false, true]);
    held.open();
    assert.equal(await answer, null);
  });

  test('begins nothing for a client that left right after it asked', async () => {
    const begun: { readonly aborted: boolean; readonly gone: boolean }[] = [];
    work = async (_verb, _input, call) => {
      begun.push({ aborted: call.signal.aborted, gone: gone.includes(call.client.id) });
      return null;
    };
    for (let round = 0; round < 20; round++) {
      const client = await Client.to(address);
      for (let n = 0; n < 20; n++) client.call('create_sandbox').catch(() => undefined);
      await new Promise<void>(resolve => client.socket.write('', () => resolve()));
      client.socket.destroy();
    }
    await until(() => gone.length === 20, 'all are gone');
    await sleep(50);
    assert.deepEqual(
      begun.filter(call => call.gone && !call.aborted),
      [],
    );
  });

  test('takes no harm from work that outlives its client', async () => {
    let progress: Call['progress'] = () => undefined;
    work = async (_verb, _input, call) => {
      progress = call.progress;
      return null;
    };
    const client = await Client.to(address);
    await client.rpc.sendRequest(callRequest, { verb: 'import_image', input: {}, progress: 1 });
    assert.equal(server.calls, 0);
    client.socket.destroy();
    await until(() => gone.length === 1, 'it is gone');
    progress({ message: 'half way' });
  });

  test('that gets nonsense drops that client only', async () => {
    using good = await Client.to(address);
    const bad = connect(address);
    bad.on('error', () => undefined);
    bad.write('GET / HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n{{{{');
    await new Promise(resolve => bad.once('close', resolve));
    assert.deepEqual(await good.call('echo'), { verb: 'echo', input: {} });
  });
});

describe('subscriptions', () => {
  test('get the topics they asked for, narrowed to their sources, until they end', async () => {
    using client = await Client.to(address);
    await client.subscribe(1, ['operation'], ['op-1']);
    events.emit(operationEvent(1));
    events.emit(operationEvent(2));
    events.emit({ topic: 'sandbox', sandbox: {} } as unknown as EngineEvent);
    await until(() => client.events.length > 0, 'an event came');
    await client.rpc.sendRequest(unsubscribeRequest, { subscription: 1 });
    events.emit(operationEvent(1));
    await client.call('echo');
    assert.deepEqual(client.events, [operationEvent(1)]);
  });

  test('of one who does not read are bounded in memory, tell that they lagged, and hold up nobody', async () => {
    using stopped = await Client.to(address);
    using reads = await Client.to(address);
    await Promise.all([stopped.subscribe(1, ['operation']), reads.subscribe(1, ['operation'])]);
    stopped.socket.pause();
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    const title = 'x'.repeat(10_000);
    // 200 MB of events, in turns that let the one who reads read.
    for (let n = 0; n < 20_000; n++) {
      events.emit(operationEvent(n, title));
      if (n % 50 === 49) await new Promise(resolve => setImmediate(resolve));
    }
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 150_000_000, `grew by ${Math.round(grown / 1e6)} MB`);
    assert.deepEqual(await reads.call('echo'), { verb: 'echo', input: {} });
    assert.ok(reads.events.length > 1000);
    assert.equal(stopped.events.length, 0);

    stopped.socket.resume();
    await until(() => stopped.events.some(event => event.topic === 'lagged'), 'it is told that it lagged');
    const received = stopped.events.filter(event => event.topic === 'operation').length;
    assert.ok(received < 2_000, `${received} events were kept for it`);
    events.emit(operationEvent(99_999));
    await until(
      () => stopped.events.some(event => event.topic === 'operation' && event.operation.operation_id === 'op-99999'),
      'it is served again',
    );
  });

  test('of output leave gaps for one who does not read, and the spool has it all', async () => {
    using client = await Client.to(address);
    await client.subscribe(1, ['output'], ['op-1']);
    client.socket.pause();
    const { stdout } = spools.open('op-1');

    const piece = Buffer.alloc(500_000, 'x');
    for (let length = piece.length; length <= 20_000_000; length += piece.length) {
      appendFileSync(stdout, piece);
      feed.grew('op-1', 'stdout', length);
      await new Promise(resolve => setImmediate(resolve));
    }
    client.socket.resume();
    await client.call('echo');
    const got = client.events.reduce((sum, event) => sum + (event.topic === 'output' ? event.data.length : 0), 0);
    assert.ok(got > 0 && got < 5_000_000, `${got} bytes were kept for it`);
    assert.equal(spools.size('op-1', 'stdout'), 20_000_000);
  });

  test('of a client that goes end with it', async () => {
    const client = await Client.to(address);
    await client.subscribe(1, ['operation', 'output'], ['op-1']);
    client.socket.destroy();
    await until(() => gone.length === 1, 'it is gone');
    events.emit(operationEvent(1));
    writerless('op-1');
  });
});

test('a subscription asked for just before the client went hears nothing and harms nobody', async () => {
  const message = (id: number): string => {
    const params = { subscription: id, topics: ['operation', 'output'], sources: ['op-1'] };
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: subscribeRequest.method, params });
    return `Content-Length: ${body.length}\r\n\r\n${body}`;
  };
  const socket = connect(address);
  await once(socket, 'connect');
  await until(() => server.clients === 1, 'it is counted');
  socket.write(Array.from({ length: 200 }, (_, id) => message(id)).join(''), () => socket.destroy());
  await until(() => gone.length === 1, 'it is gone');
  await sleep(100);
  events.emit(operationEvent(1));
});

/** A process that grows while nobody follows it. */
function writerless(source: string): void {
  spools.open(source);
  feed.grew(source, 'stdout', 0);
}

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { EngineClient } from '../../../src/client/engineClient.ts';
import type { Call } from '../../../src/engine/call.ts';
import { EventBus } from '../../../src/engine/eventBus.ts';
import { Log } from '../../../src/engine/log.ts';
import { OutputFeed } from '../../../src/engine/operations/outputFeed.ts';
import { Server } from '../../../src/engine/server.ts';
import { Spools } from '../../../src/engine/store/spools.ts';
import { socketPath } from '../../../src/protocol/endpoint.ts';
import { CoppiceError } from '../../../src/protocol/errors.ts';
import { type EngineInfo, PROTOCOL_VERSION } from '../../../src/protocol/rpc.ts';
import { VERSION } from '../../../src/protocol/version.ts';

let home: string;
let server: Server;
let info: EngineInfo;
let work: (verb: string, input: unknown, call: Call) => Promise<unknown>;

beforeEach(async () => {
  home = mkdtempSync(path.join(tmpdir(), 'coppice-client-'));
  info = {
    protocol: PROTOCOL_VERSION,
    version: VERSION,
    pid: process.pid,
    home,
    started_at: new Date(0).toISOString(),
    clients: 0,
    running: 0,
    queued: 0,
    sandboxes: 0,
    memory_bytes: 0,
    idle_stop_seconds: 1,
  };
  work = async () => ({ images: [], total: 0 });
  server = new Server({
    address: socketPath(home),
    events: new EventBus(),
    feed: new OutputFeed(new Spools(home)),
    log: new Log(path.join(home, 'engine.log')),
    info: () => info,
    dispatch: (verb, input, call) => work(verb, input, call),
    stop: () => ({ stopping: false, busy: 1 }),
    onClients: () => {},
    onGone: () => {},
  });
  await server.listen();
});
afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
});

const connect = () => EngineClient.connect({ home, script: '', start: false }, 'test');

describe('a client', () => {
  test('is told of every call that the engine did not answer before it went', async () => {
    work = () => new Promise(() => {});
    const client = await connect();
    const calls = Array.from({ length: 5 }, () => client.call('list_images', {}));
    const ends = Promise.allSettled(calls);
    await client.status();
    await server.close();
    for (const end of await ends)
      assert.ok(end.status === 'rejected' && end.reason instanceof CoppiceError && end.reason.code === 'engine_died');
    await client.closed;
    await server.listen();
  });

  test('says the same of whatever is asked afterwards, and never throws where it should reject', async () => {
    const client = await connect();
    client.close();
    await client.closed;
    for (const asked of [
      () => client.call('list_images', {}),
      () => client.status(),
      () => client.stopEngine(false),
      () => client.subscribe(['image'], () => {}),
    ])
      await assert.rejects(asked(), { code: 'engine_died' });
  });

  test('names an engine that is too new for it, and says who has to be updated', async () => {
    info = { ...info, protocol: PROTOCOL_VERSION + 1, version: '99.0.0' };
    await assert.rejects(connect(), (error: unknown) => {
      assert.ok(error instanceof CoppiceError);
      assert.equal(error.code, 'version_mismatch');
      assert.match(error.message, /99\.0\.0 .* newer/);
      assert.match(error.fix ?? '', /^Update/);
      return true;
    });
  });

  test('names an older one that is busy', async () => {
    info = { ...info, protocol: PROTOCOL_VERSION - 1, version: '0.0.1', running: 1 };
    await assert.rejects(connect(), { code: 'version_mismatch', message: /0\.0\.1 .* is busy/ });
  });
});

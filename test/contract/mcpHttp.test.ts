import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type CallToolResult, ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { answerOf } from '../harness/agent.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { HttpServer } from '../harness/httpServer.ts';

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
};

describe('coppice mcp --http', () => {
  let engine: TestEngine;
  let server: HttpServer;

  before(async () => {
    engine = await startEngine();
    await engine.busybox();
    server = await HttpServer.start(engine);
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  const run = { image: 'tag:busybox', network: 'none' };

  async function connected(): Promise<Client> {
    const client = new Client({ name: 'test', version: '1.0.0' });
    const transport = new StreamableHTTPClientTransport(server.address, {
      requestInit: { headers: { authorization: `Bearer ${server.token}` } },
    });
    await client.connect(transport as Parameters<Client['connect']>[0]);
    return client;
  }

  async function call<T>(client: Client, name: string, input: Record<string, unknown>) {
    return answerOf<T>((await client.callTool({ name, arguments: input })) as CallToolResult);
  }

  /** Any request, with whatever headers: fetch would not send some of them. */
  function ask(headers: Record<string, string>, body: string | undefined, method = 'POST', place = '/mcp') {
    const { hostname, port } = server.address;
    return new Promise<{ status: number; text: string; session: string | undefined }>((resolve, reject) => {
      const asked = request(
        {
          hostname,
          port,
          path: place,
          method,
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            authorization: `Bearer ${server.token}`,
            ...headers,
          },
        },
        response => {
          let text = '';
          response.setEncoding('utf8').on('data', piece => (text += piece));
          response.on('end', () =>
            resolve({
              status: response.statusCode!,
              text,
              session: response.headers['mcp-session-id'] as string | undefined,
            }),
          );
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }
  const initialize = (headers: Record<string, string>) => ask(headers, JSON.stringify(INITIALIZE));

  test('prints its token once, and keeps it where only its owner reads', async () => {
    assert.match(server.line, /^token [\w-]{43}$/);
    const file = path.join(engine.home, 'mcp', 'token');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(readFileSync(file, 'utf8').trim(), server.token);
    await using second = await HttpServer.start(engine);
    assert.equal(second.line, `token in ${file}`);
    assert.equal(await second.stop(), 0);
  });

  test('serves tools and resources to several clients at once', async () => {
    const clients = await Promise.all([connected(), connected()]);
    const answers = await Promise.all(
      clients.map(client => call<{ stdout: string }>(client, 'run', { ...run, command: 'echo by HTTP' })),
    );
    assert.deepEqual(
      answers.map(({ value }) => value.stdout),
      ['by HTTP\n', 'by HTTP\n'],
    );
    const updated: string[] = [];
    clients[0]!.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void updated.push(params.uri),
    );
    const started = await call<{ operation_id: string }>(clients[0]!, 'run', {
      ...run,
      command: 'sleep 60',
      wait: false,
    });
    const uri = `coppice://operation/${started.value.operation_id}`;
    await clients[0]!.subscribeResource({ uri });
    await call(clients[1]!, 'cancel_operation', { operation_id: started.value.operation_id });
    await eventually('the update', () => updated.includes(uri));
    assert.match((await call(clients[1]!, 'upload', { path: '/etc/hostname' })).text, /^fenced/);
    await Promise.all(clients.map(client => client.close()));
  });

  test('lets nobody in without the token', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer wrong', `Basic ${server.token}`, `Bearer ${server.token}x`])
      assert.equal((await initialize({ authorization })).status, 401, authorization);
    assert.equal((await initialize({})).status, 200);
  });

  test('is no way in for a page of the web: names of others, other origins', async () => {
    const { host, port } = server.address;
    for (const foreign of [
      'evil.example',
      `evil.example:${port}`,
      '127.0.0.1',
      `127.0.0.1.evil.example:${port}`,
      `localhost:${Number(port) + 1}`,
    ])
      assert.equal((await initialize({ host: foreign })).status, 403, foreign);
    for (const origin of [
      'http://evil.example',
      `http://evil.example:${port}`,
      'null',
      `https://${host}`,
      'http://localhost',
    ])
      assert.equal((await initialize({ origin })).status, 403, origin);
    for (const name of [host, `localhost:${port}`, `[::1]:${port}`])
      assert.equal((await initialize({ host: name, origin: `http://${name}` })).status, 200, name);
  });

  test('listens on loopback and nowhere else', async () => {
    const others = Object.values(networkInterfaces())
      .flat()
      .filter(address => address?.family === 'IPv4' && !address.internal);
    for (const other of others) {
      const socket = connect(Number(server.address.port), other!.address);
      const outcome = await new Promise(resolve => {
        socket.once('connect', () => resolve('connected'));
        socket.once('error', error => resolve((error as NodeJS.ErrnoException).code));
      });
      socket.destroy();
      assert.equal(outcome, 'ECONNREFUSED', other!.address);
    }
  });

  test('says what is wrong with a request', async () => {
    for (const [status, answer] of [
      [400, ask({}, '{')],
      [400, ask({}, '{}')],
      [400, ask({}, JSON.stringify({ ...INITIALIZE, method: 'tools/list' }))],
      [400, ask({}, undefined, 'GET')],
      [404, ask({ 'mcp-session-id': 'nobody' }, JSON.stringify(INITIALIZE))],
      [404, ask({}, JSON.stringify(INITIALIZE), 'POST', '/')],
      [413, ask({}, `"${'x'.repeat(33 * 1_048_576)}"`)],
    ] as const) {
      const { status: actual, text } = await answer;
      assert.equal(actual, status, text);
      assert.ok(JSON.parse(text).error.message, text);
    }
  });

  test('a client that is gone takes its waiting run with it', async () => {
    const { session } = await initialize({});
    const abort = new AbortController();
    const params = { name: 'run', arguments: { ...run, command: 'echo by a client that goes; sleep 60', timeout: 0 } };
    const going = fetch(server.address, {
      method: 'POST',
      signal: abort.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${server.token}`,
        'mcp-session-id': session!,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params }),
    }).then(response => response.text());
    going.catch(() => undefined);
    const find = async (status: 'EXECUTING' | 'CANCELLED') =>
      (await engine.client.call('list_operations', { status })).operations.find(({ title }) =>
        /a client that goes/.test(title),
      );
    await eventually('it runs', () => find('EXECUTING'));
    abort.abort();
    await eventually('it is cancelled', () => find('CANCELLED'));
    assert.equal((await ask({ 'mcp-session-id': session! }, undefined, 'DELETE')).status, 200);
    assert.equal((await ask({ 'mcp-session-id': session! }, JSON.stringify(INITIALIZE))).status, 404);
  });

  test('a new token makes the old one worthless', async () => {
    await using renewed = await HttpServer.start(engine, ['--new-token']);
    assert.match(renewed.line, /^token /);
    assert.notEqual(renewed.token, server.token);
    const file = path.join(engine.home, 'mcp', 'token');
    assert.equal(readFileSync(file, 'utf8').trim(), renewed.token);
  });
});

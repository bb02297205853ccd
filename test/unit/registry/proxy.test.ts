import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf } from '../../harness/ociLayout.ts';
import { Outside } from '../../harness/outside.ts';
import { ScriptedServer } from '../../harness/scriptedServer.ts';

/** A proxy as companies have them: plain requests are passed on, TLS goes through a tunnel. */
class CompanyProxy {
  readonly asked: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.asked.push(`${request.method} ${request.url}`);
    response.writeHead(404).end();
  });

  async start(target: string): Promise<string> {
    this.#server.on('connect', (request, socket) => {
      this.asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
      const [host, port] = target.split(':');
      const tunnel = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        tunnel.pipe(socket).pipe(tunnel);
      });
      socket.on('error', () => tunnel.destroy());
      tunnel.on('error', () => socket.destroy());
      this.#open.push(
        () => tunnel.destroy(),
        () => socket.destroy(),
      );
    });
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }
  readonly #open: (() => void)[] = [];

  async stop(): Promise<void> {
    for (const end of this.#open) end();
    this.#server.closeAllConnections();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }
}

let proxy: CompanyProxy;
let outside: Outside;
let registry: ScriptedServer;

beforeEach(async () => {
  proxy = new CompanyProxy();
  outside = new Outside();
  registry = await ScriptedServer.start();
});
afterEach(async () => {
  await proxy.stop();
  await registry[Symbol.asyncDispose]();
  outside[Symbol.dispose]();
});

const manifest = { schemaVersion: 2, config: { digest: digestOf(Buffer.from('x')), size: 1 }, layers: [] };

describe('a proxy of the environment', () => {
  it('is gone through, but for what NO_PROXY names', async () => {
    const address = await proxy.start(registry.host);
    registry.serve('app', '1', manifest, []);
    outside.env = { ...outside.env, HTTP_PROXY: `http://${address}`, NO_PROXY: 'other.example' };
    const source = `http://${registry.host}/app:1`;
    await assert.rejects(outside.digest(source));
    assert.match(proxy.asked[0]!, new RegExp(`^HEAD http://${registry.host}/v2/app/manifests/1$`));
    assert.deepEqual(registry.seen, []);
    outside.env = { ...outside.env, NO_PROXY: 'other.example,127.0.0.1' };
    outside.restart();
    await outside.digest(source);
    assert.ok(registry.seen.length > 0);
  });

  it('carries TLS through a tunnel, and shows its own password only there', async () => {
    const address = await proxy.start(registry.host);
    outside.env = { ...outside.env, https_proxy: `http://me:hunter2@${address}` };
    // What answers speaks no TLS: that is found out through the tunnel.
    const error = await outside.digest('docker://registry.example/app:1').catch(thrown => thrown);
    assert.equal(error.code, 'registry_untrusted');
    assert.equal(proxy.asked[0], `CONNECT registry.example:443 Basic ${Buffer.from('me:hunter2').toString('base64')}`);
    assert.doesNotMatch(JSON.stringify([error.message, error.fix]), /hunter2/);
  });

  it('that is no address is told as such, without its password', async () => {
    outside.env = { ...outside.env, https_proxy: 'http://me:hunter2@host:99999' };
    const error = await outside.digest('docker://registry.example/app:1').catch(thrown => thrown);
    assert.equal(error.code, 'no_network');
    assert.doesNotMatch(JSON.stringify([error.message, error.fix]), /hunter2/);
  });

  it('that is not there is told as such, without its password', async () => {
    outside.env = { ...outside.env, https_proxy: 'http://me:hunter2@127.0.0.1:9' };
    const error = await outside.digest('docker://registry.example/app:1').catch(thrown => thrown);
    assert.equal(error.code, 'no_network');
    assert.doesNotMatch(JSON.stringify([error.message, error.fix]), /hunter2/);
  });
});

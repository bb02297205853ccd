import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * Stands before a server and cuts connections: each in turn after as many bytes as `next` says have come back through it,
 * in the middle of whatever that is. undefined: this one is left alone.
 *
 *     await using proxy = await CuttingProxy.before(registry.host, () => random(1_000_000));
 */
export class CuttingProxy implements AsyncDisposable {
  readonly host: string;
  /** Connections that were cut. */
  cuts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, host: string) {
    this.#server = server;
    this.host = host;
  }

  static async before(target: string, next: () => number | undefined): Promise<CuttingProxy> {
    const [host, port] = target.split(':');
    const server = createServer();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const address = server.address() as { readonly port: number };
    const proxy = new CuttingProxy(server, `127.0.0.1:${address.port}`);
    server.on('connection', client => proxy.#join(client, connect(Number(port), host), next()));
    return proxy;
  }

  #join(client: Socket, target: Socket, limit: number | undefined): void {
    let left = limit ?? Number.POSITIVE_INFINITY;
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined); // The other side learns of it by the end below.
      socket.once('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.pipe(target);
    target.on('data', (bytes: Buffer) => {
      const passed = bytes.subarray(0, Math.min(bytes.length, left));
      left -= bytes.length;
      if (left > 0) {
        if (!client.write(passed)) {
          target.pause();
          client.once('drain', () => target.resume());
        }
        return;
      }
      this.cuts++;
      // In turn it ends in the middle, and is reset, which takes some of what passed along.
      client.write(passed, () => (this.cuts % 2 === 0 ? client.resetAndDestroy() : client.destroySoon()));
      target.destroy();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }
}

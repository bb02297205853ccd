import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** For clients that cannot send a token: passes everything on to a server, names of hosts and origins included, with its token. */
export class TokenProxy implements AsyncDisposable {
  readonly address: URL;
  readonly #server: Server;

  private constructor(address: URL, server: Server) {
    this.address = address;
    this.#server = server;
  }

  static async start(target: URL, token: string): Promise<TokenProxy> {
    const server = createServer((asked, answer) => {
      const own = `:${(server.address() as AddressInfo).port}`;
      const renamed = (text: string | undefined) => text?.replace(new RegExp(`${own}$`), `:${target.port}`);
      const { host, origin } = asked.headers;
      const headers = {
        ...asked.headers,
        ...(host === undefined ? {} : { host: renamed(host) }),
        ...(origin === undefined ? {} : { origin: renamed(origin) }),
        authorization: `Bearer ${token}`,
      };
      const passed = request(
        { hostname: target.hostname, port: target.port, path: asked.url, method: asked.method, headers },
        response => {
          answer.writeHead(response.statusCode!, response.headers);
          response.pipe(answer);
        },
      );
      passed.on('error', () => answer.destroy());
      answer.on('close', () => passed.destroy());
      asked.pipe(passed);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return new TokenProxy(new URL(target.pathname, `http://localhost:${port}`), server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

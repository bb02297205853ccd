import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/**
 * A server that answers as a test says, for registries that no real one would be: hostile, broken, overloaded.
 * Paths that nobody scripted are 404.
 */
export class ScriptedServer implements AsyncDisposable {
  readonly host: string;
  readonly seen: SeenRequest[] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor(server: Server, host: string) {
    this.#server = server;
    this.host = host;
  }

  static async start(
    options: { readonly tls?: { readonly cert: string; readonly key: string }; readonly address?: string } = {},
  ): Promise<ScriptedServer> {
    const server = options.tls ? createSecureServer({ ...options.tls }) : createServer();
    const address = options.address ?? '127.0.0.1';
    await new Promise<void>(resolve => server.listen(0, address, resolve));
    const { port } = server.address() as { readonly port: number };
    const scripted = new ScriptedServer(server, `${address}:${port}`);
    server.on('request', (request, response) => scripted.#answer(request, response));
    // A greeting it does not understand, as TLS to plain HTTP.
    server.on('clientError', (_error, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    return scripted;
  }

  /** `/v2/app/manifests/1`, without the query. */
  on(path: string, answer: Answer): this {
    this.#answers.set(path, answer);
    return this;
  }

  /** An image whose blobs and manifest are served honestly; answers the manifest's digest. */
  serve(repository: string, tag: string, manifest: object, blobs: readonly Buffer[]): string {
    const bytes = Buffer.from(JSON.stringify(manifest));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const answer: Answer = (_request, response) => {
      response.writeHead(200, {
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
        'docker-content-digest': digest,
        'content-length': bytes.length,
      });
      response.end(bytes);
    };
    this.on(`/v2/${repository}/manifests/${tag}`, answer);
    this.on(`/v2/${repository}/manifests/${digest}`, answer);
    for (const blob of blobs) {
      const name = createHash('sha256').update(blob).digest('hex');
      this.on(`/v2/${repository}/blobs/sha256:${name}`, (_request, response) => response.end(blob));
    }
    return digest;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    let body = '';
    request.on('data', chunk => {
      body += chunk;
    });
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      this.seen.push({ method, path: url, authorization: headers.authorization, body });
      const answer = this.#answers.get(url.replace(/\?.*$/, ''));
      if (answer) answer(request, response, body);
      else response.writeHead(404, { 'content-type': 'application/json' }).end('{"errors":[{"code":"NAME_UNKNOWN"}]}');
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>(resolve => this.#server.close(() => resolve()));
  }
}

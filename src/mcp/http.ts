import { randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest, type JSONRPCMessage, type RequestId } from '@modelcontextprotocol/sdk/types.js';
import { CoppiceError } from '../protocol/errors.ts';
import { httpToken, tokenPath } from './httpToken.ts';
import { type AgentOptions, AgentSession } from './session.ts';

const LOOPBACK = '127.0.0.1';
const PATH = '/mcp';
/** Uploads travel in messages. */
const LARGEST_BODY = 32 * 1_048_576;
const MOST_SESSIONS = 100;
/** A session that has no stream open and asked nothing for so long is over: clients that go away do not say so. */
const IDLE_MS = 60 * 60_000;

/** The same server over HTTP, on loopback only, for whoever holds the token. Resolves when the signal says so. */
export async function serveHttp(
  options: AgentOptions,
  { port, newToken }: { readonly port: number; readonly newToken: boolean },
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const { token, isNew } = httpToken(options.home, newToken);
  const door = new HttpDoor(options, token);
  const server = createServer((request, response) => void door.handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', error => reject(taken(error, port)));
    server.listen(port, LOOPBACK, resolve);
  });
  door.port = (server.address() as AddressInfo).port;
  say(`http://${LOOPBACK}:${door.port}${PATH}`);
  say(isNew ? `token ${token}` : `token in ${tokenPath(options.home)}`);
  await new Promise<void>(resolve => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await door.close();
  server.close();
  server.closeAllConnections();
}

function taken(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') return error;
  return new CoppiceError(
    'in_use',
    `port ${port} cannot be had: ${error.code === 'EACCES' ? 'not allowed' : 'taken'}`,
    {
      field: 'port',
      fix: 'Give another --port, or none for a free one.',
    },
  );
}

interface HttpSession {
  readonly transport: StreamableHTTPServerTransport;
  /** Requests and streams that are open. */
  open: number;
  usedAt: number;
}

/** Lets in who comes by a loopback name, from no foreign page, with the token; gives each client a session of its own. */
class HttpDoor {
  port = 0;
  readonly #options: AgentOptions;
  readonly #token: Buffer;
  readonly #sessions = new Map<string, HttpSession>();
  readonly #sweep = setInterval(() => this.#closeIdle(), 60_000);

  constructor(options: AgentOptions, token: string) {
    this.#options = options;
    this.#token = Buffer.from(token);
    this.#sweep.unref();
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const refusal = this.#refusal(request);
      if (refusal) return refuse(response, ...refusal);
      const body = request.method === 'POST' ? await readBody(request) : undefined;
      const session = await this.#sessionOf(request, body);
      if (!session) return refuse(response, 404, 'no such session: initialize first');
      await this.#pass(session, request, response, body);
    } catch (error) {
      if (error instanceof HttpError) refuse(response, error.status, error.message);
      else refuse(response, 500, 'internal error');
    }
  }

  /** A page of the web may reach loopback by a name of its own (DNS rebinding), or send requests blindly. */
  #refusal({ headers, url }: IncomingMessage): [status: number, message: string] | undefined {
    const names = ['127.0.0.1', 'localhost', '[::1]'].map(name => `${name}:${this.port}`);
    if (!names.includes(headers.host?.toLowerCase() ?? '')) return [403, `host ${headers.host} is not this machine`];
    const { origin } = headers;
    if (origin !== undefined && !names.some(name => origin.toLowerCase() === `http://${name}`))
      return [403, `origin ${origin} is not allowed`];
    if (!this.#isTokenHolder(headers.authorization)) return [401, 'a bearer token is needed'];
    if (new URL(url ?? '/', 'http://localhost').pathname !== PATH) return [404, `the server is at ${PATH}`];
    return undefined;
  }

  #isTokenHolder(authorization: string | undefined): boolean {
    const [, given] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
    const bytes = Buffer.from(given ?? '');
    return bytes.length === this.#token.length && timingSafeEqual(bytes, this.#token);
  }

  async #sessionOf({ headers, method }: IncomingMessage, body: unknown): Promise<HttpSession | undefined> {
    const id = headers['mcp-session-id'];
    if (typeof id === 'string') return this.#sessions.get(id);
    if (method !== 'POST' || !isInitializeRequest(body))
      throw new HttpError(400, 'a session starts with initialize; name it in Mcp-Session-Id');
    if (this.#sessions.size >= MOST_SESSIONS) throw new HttpError(503, `there are ${MOST_SESSIONS} sessions already`);
    return this.#begin();
  }

  #begin(): HttpSession {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: id => void this.#sessions.set(id, session),
    });
    const session: HttpSession = { transport, open: 0, usedAt: Date.now() };
    const agent = new AgentSession(this.#options);
    void agent.serve(transport as Parameters<AgentSession['serve']>[0]).then(() => {
      if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
    });
    return session;
  }

  async #pass(session: HttpSession, request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    session.open++;
    response.once('close', () => {
      session.open--;
      session.usedAt = Date.now();
      // Its answer can reach nobody any more.
      if (!response.writableFinished) cancelRequests(session.transport, requestIds(body));
    });
    await session.transport.handleRequest(request, response, body);
    // An initialize that was refused began nothing that could be named later.
    if (session.transport.sessionId === undefined) await session.transport.close();
  }

  #closeIdle(): void {
    for (const { transport, open, usedAt } of this.#sessions.values()) {
      if (open === 0 && Date.now() - usedAt > IDLE_MS) void transport.close();
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    await Promise.all([...this.#sessions.values()].map(({ transport }) => transport.close()));
  }
}

class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > LARGEST_BODY) throw new HttpError(413, `a message may have ${LARGEST_BODY} bytes`);
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    throw new HttpError(400, 'the body is not JSON');
  }
}

function requestIds(body: unknown): RequestId[] {
  return [body]
    .flat()
    .map(message => message as { readonly id?: RequestId; readonly method?: unknown } | null | undefined)
    .flatMap(message => (message?.method !== undefined && message.id !== undefined ? [message.id] : []));
}

function cancelRequests(transport: StreamableHTTPServerTransport, ids: readonly RequestId[]): void {
  for (const requestId of ids) {
    const params = { requestId, reason: 'the connection was closed' };
    transport.onmessage?.({ jsonrpc: '2.0', method: 'notifications/cancelled', params } satisfies JSONRPCMessage);
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    // What else it would send is not read any more.
    ...(status === 413 ? { connection: 'close' } : {}),
  });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }));
}

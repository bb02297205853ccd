import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { finished } from 'node:stream/promises';
import type { SecureContext } from 'node:tls';
import { CoppiceError } from '../protocol/errors.ts';
import { VERSION } from '../protocol/version.ts';
import { leadsToMachine, lookupOutside } from './localAddress.ts';
import type { Trust } from './trust.ts';

/** To connect, and between two pieces of an answer. */
const CONNECT_MS = 10_000;
const IDLE_MS = 30_000;
const MOST_REDIRECTS = 5;
const SHORT_REST = 65_536;

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read or discarded. */
  readonly body: IncomingMessage;
}

/** A short rest is read, so that the connection serves again; a longer one costs more than another connection. */
export async function discard({ headers, body }: HttpResponse): Promise<void> {
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (!isHead(body) && !(length <= SHORT_REST)) {
    body.on('error', () => undefined); // Nobody wants it.
    body.destroy();
    return;
  }
  body.resume();
  await finished(body).catch(() => undefined);
}

const isHead = (body: IncomingMessage): boolean =>
  (body as { readonly req?: http.ClientRequest }).req?.method === 'HEAD';

/**
 * HTTP as a registry's client needs it: the environment's proxies, the machine's authorities, redirects that never carry
 * credentials to another origin nor lead to plain HTTP or into this machine. One registry's; closed with its session.
 */
export class Transport {
  readonly #trust: Trust;
  /** Who sent us wherever we go: the registry's own host. */
  readonly #home: string;
  readonly #homeName: string;
  #homeIsHere: Promise<boolean> | undefined;
  readonly #plain: http.Agent;
  readonly #secure: https.Agent;
  readonly #contexts = new Map<string, SecureContext>();

  constructor(home: string, env: NodeJS.ProcessEnv, trust: Trust) {
    this.#home = home;
    this.#homeName = new URL(`http://${home}`).hostname;
    this.#trust = trust;
    [this.#plain, this.#secure] = agentsFor(env);
  }

  async send(request: HttpRequest): Promise<HttpResponse> {
    let { url, headers = {} } = request;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#once({ ...request, url, headers });
      const location = isRedirect(response.status) ? response.headers.location : undefined;
      if (location === undefined || request.method === 'POST') return response;
      await discard(response);
      if (redirects === MOST_REDIRECTS) throw misled(`${this.#home} redirects more than ${MOST_REDIRECTS} times`);
      const next = resolveLocation(location, url);
      this.#checkRedirect(url, next);
      if (next.origin !== url.origin) headers = withoutCredentials(headers);
      url = next;
    }
  }

  /** What the registry names as another place to ask; nothing that it should not make us ask passes. */
  #checkRedirect(from: URL, to: URL): void {
    if (to.protocol !== 'https:' && to.protocol !== 'http:')
      throw misled(`${this.#home} redirects to ${to.protocol}, which is not the web`);
    if (from.protocol === 'https:' && to.protocol === 'http:')
      throw misled(`${this.#home} redirects from TLS to plain HTTP`);
    if (to.username !== '' || to.password !== '') throw misled(`${this.#home} redirects to an address with a password`);
  }

  async #once(request: HttpRequest): Promise<HttpResponse> {
    const { url, signal } = request;
    const foreign = url.hostname !== this.#homeName;
    if (foreign) await this.#refuseOwnMachine(url.hostname);
    signal.throwIfAborted();
    const secure = url.protocol === 'https:';
    const options = {
      method: request.method,
      headers: { 'user-agent': `coppice/${VERSION}`, ...lengthOf(request.body), ...request.headers },
      agent: secure ? this.#secure : this.#plain,
      signal,
      timeout: IDLE_MS,
      ...(secure ? { secureContext: this.#context(url.host) } : {}),
      ...(foreign && !(await this.#isHere()) ? { lookup: lookupOutside(url.hostname) } : {}),
    };
    return new Promise((resolve, reject) => {
      const sent = (secure ? https : http).request(url, options, body =>
        resolve({ status: body.statusCode ?? 0, headers: body.headers, body }),
      );
      limitConnecting(sent, url);
      sent.on('timeout', () => sent.destroy(timedOut(`${url.host} is silent for ${IDLE_MS / 1000} s`)));
      sent.on('error', reject); // Whatever comes after the answer's head is the body's to say.
      sent.end(request.body);
    });
  }

  async #refuseOwnMachine(host: string): Promise<void> {
    if ((await leadsToMachine(host)) && !(await this.#isHere()))
      throw misled(`${this.#home} sends us to ${host}, which is this machine`);
  }

  #isHere(): Promise<boolean> {
    this.#homeIsHere ??= leadsToMachine(this.#homeName);
    return this.#homeIsHere;
  }

  #context(host: string): SecureContext {
    const known = this.#contexts.get(host);
    if (known) return known;
    const context = this.#trust.contextFor(host);
    this.#contexts.set(host, context);
    return context;
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }
}

function agentsFor(env: NodeJS.ProcessEnv): [http.Agent, https.Agent] {
  const options = { keepAlive: true, proxyEnv: env, maxSockets: 8 };
  try {
    return [new http.Agent(options), new https.Agent(options)];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_PROXY_INVALID_CONFIG') throw error;
    // Its own message quotes the address, and with it a password.
    throw new CoppiceError('no_network', 'HTTP_PROXY or HTTPS_PROXY is not the address of a proxy', {
      fix: 'Set it as http://host:port, stop the engine (coppice engine stop), and try again.',
    });
  }
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status);

function resolveLocation(location: string, base: URL): URL {
  try {
    return new URL(location, base);
  } catch {
    throw misled(`${base.host} redirects to what is no address`);
  }
}

/** Another origin gets none of what we showed this one. */
function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

const lengthOf = (body: string | undefined): Record<string, string> =>
  body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };

/** A host that never answers is found out long before a slow answer is given up. */
function limitConnecting(request: http.ClientRequest, url: URL): void {
  const timer = setTimeout(
    () => request.destroy(timedOut(`${url.host} does not answer within ${CONNECT_MS / 1000} s`)),
    CONNECT_MS,
  );
  const connected = () => clearTimeout(timer);
  request.once('socket', socket => {
    if (!socket.connecting) connected();
    else socket.once('connect', connected);
  });
  request.once('close', connected);
}

function timedOut(message: string): Error {
  return Object.assign(new Error(message), { code: 'ETIMEDOUT' });
}

function misled(message: string): CoppiceError {
  return new CoppiceError('import_failed', message, {
    fix: 'That is no honest registry, or one that is set up wrongly: ask whoever runs it.',
  });
}

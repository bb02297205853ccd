import { CoppiceError } from '../protocol/errors.ts';
import { readBounded } from './boundedBody.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicHeader, type CredentialSource, type Credentials, type FoundCredentials } from './credentials.ts';
import { isLoopback } from './localAddress.ts';
import { answerTrouble, connectionTrouble, unauthorized } from './registryErrors.ts';
import { discard, type HttpResponse, type Transport } from './transport.ts';

const LARGEST_ANSWER = 1_048_576;

/**
 * How one session shows one registry who it is: nothing until it is asked, then a token or a password. Credentials go to
 * the registry they are kept for, and to the token server that it names, never over plain HTTP to another machine
 * unless they were kept for exactly that.
 */
export class Authorization {
  readonly #host: string;
  readonly #repository: string;
  readonly #key: string;
  readonly #source: CredentialSource;
  readonly #transport: Transport;
  #found: Promise<FoundCredentials> | undefined;
  /** What every further request of this session carries. */
  header: string | undefined;

  constructor(parts: {
    /** `host:port` that is asked. */
    readonly host: string;
    readonly repository: string;
    /** What its credentials are kept under. */
    readonly key: string;
    readonly source: CredentialSource;
    readonly transport: Transport;
  }) {
    this.#host = parts.host;
    this.#repository = parts.repository;
    this.#key = parts.key;
    this.#source = parts.source;
    this.#transport = parts.transport;
  }

  /** After a 401: what the next attempt shows. */
  async answer(base: URL, challenge: string | undefined, signal: AbortSignal): Promise<void> {
    this.header = await this.#headerFor(base, parseChallenges(challenge ?? ''), signal);
  }

  async refused(): Promise<CoppiceError> {
    const { credentials, trouble } = await this.#credentials();
    return unauthorized(this.#key.replace(/^http:\/\//, ''), this.#repository, credentials !== undefined, trouble);
  }

  async #headerFor(base: URL, challenges: readonly Challenge[], signal: AbortSignal): Promise<string> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer) return `Bearer ${await this.#token(base, bearer, signal)}`;
    const { credentials } = await this.#credentials();
    if (challenges.some(({ scheme }) => scheme === 'basic') && credentials?.kind === 'password')
      return basicHeader(credentials.username, credentials.password);
    throw await this.refused();
  }

  /** Asked for once, when the registry wants to know. */
  #credentials(): Promise<FoundCredentials> {
    this.#found ??= this.#source.find(this.#key);
    return this.#found;
  }

  async #token(base: URL, { parameters }: Challenge, signal: AbortSignal): Promise<string> {
    const realm = this.#realm(base, parameters.realm);
    const scope = parameters.scope ?? (this.#repository === '' ? '' : `repository:${this.#repository}:pull`);
    const { credentials } = await this.#credentials();
    const response = await this.#ask(realm, parameters.service ?? '', scope, credentials, signal).catch(error => {
      throw connectionTrouble(error, realm.host);
    });
    if (response.status === 401 || response.status === 403) {
      await discard(response);
      throw await this.refused();
    }
    if (response.status !== 200) {
      await discard(response);
      throw answerTrouble(response, realm.host);
    }
    return readToken(await readBounded(response.body, LARGEST_ANSWER), realm.host);
  }

  /** A registry may send us to another host for tokens, but not to where they would travel in the open. */
  #realm(base: URL, text: string | undefined): URL {
    const realm = URL.canParse(text ?? '') ? new URL(text!) : undefined;
    const stays = realm?.hostname === base.hostname || (isLoopback(base.hostname) && isLoopback(realm?.hostname ?? ''));
    const plainAllowed = base.protocol === 'http:' && stays;
    if (realm && realm.username === '' && realm.password === '') {
      if (realm.protocol === 'https:' || (realm.protocol === 'http:' && plainAllowed)) return realm;
    }
    throw new CoppiceError('import_failed', `${this.#host} names no safe place to get a token from`, {
      fix: 'Its token server must be reached by https://; ask whoever runs it.',
    });
  }

  #ask(
    realm: URL,
    service: string,
    scope: string,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    if (credentials?.kind === 'identity') {
      const body = new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: 'coppice',
        refresh_token: credentials.token,
        service,
        ...(scope === '' ? {} : { scope }),
      });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return this.#transport.send({ method: 'POST', url: realm, headers, body: body.toString(), signal });
    }
    const url = new URL(realm);
    if (service !== '') url.searchParams.set('service', service);
    for (const each of scope.split(' ').filter(text => text !== '')) url.searchParams.append('scope', each);
    if (credentials) url.searchParams.set('account', credentials.username);
    const headers = credentials ? { authorization: basicHeader(credentials.username, credentials.password) } : {};
    return this.#transport.send({ method: 'GET', url, headers, signal });
  }
}

function readToken(bytes: Buffer | undefined, host: string): string {
  const answer = bytes && (parse(bytes) as { readonly token?: unknown; readonly access_token?: unknown } | null);
  const token = answer?.token ?? answer?.access_token;
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new CoppiceError('import_failed', `the token server ${host} gave no token`, {
    fix: 'Try again later, or ask whoever runs it.',
  });
}

/** The parser's own message would quote a token. */
function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

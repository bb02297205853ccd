import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basicUser, type Certificates, type RegistryOptions } from './registry.ts';
import { ScriptedServer, type SeenRequest } from './scriptedServer.ts';

/** What a token lets its bearer do, as scopes say it. */
type Rights = (username: string | undefined, scope: string) => boolean;

/**
 * The other half of a registry that is entered with tokens: signs what the registry's certificate vouches for. Everybody may
 * read `public/…`; the one user may do everything.
 */
export class TokenServer implements AsyncDisposable {
  readonly #server: ScriptedServer;
  readonly #key: Certificates;

  private constructor(server: ScriptedServer, certificates: Certificates) {
    this.#server = server;
    this.#key = certificates;
    server.on('/token', (request, response) => this.#answer(request, response));
  }

  static async start(certificates: Certificates): Promise<TokenServer> {
    return new TokenServer(await ScriptedServer.start(), certificates);
  }

  get access(): NonNullable<RegistryOptions['access']> {
    const realm = `http://${this.#server.host}/token`;
    return { kind: 'token', realm, service: 'tests', issuer: 'coppice', certificate: this.#key.ca };
  }

  get seen(): readonly SeenRequest[] {
    return this.#server.seen;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const known = `Basic ${Buffer.from(`${basicUser.username}:${basicUser.password}`).toString('base64')}`;
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization !== known) {
      response.writeHead(401).end('{"details":"incorrect username or password"}');
      return;
    }
    const username = authorization === undefined ? undefined : basicUser.username;
    const scopes = new URL(request.url ?? '', 'http://x').searchParams.getAll('scope');
    response.end(
      JSON.stringify({
        token: this.#token(
          username,
          scopes.flatMap(scope => grant(username, scope)),
        ),
      }),
    );
  }

  #token(username: string | undefined, access: readonly unknown[]): string {
    const certificate = new X509Certificate(readFileSync(this.#key.certificate));
    const header = { typ: 'JWT', alg: 'ES256', x5c: [certificate.raw.toString('base64')] };
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'coppice',
      sub: username ?? '',
      aud: 'tests',
      exp: now + 300,
      nbf: now - 10,
      iat: now,
      jti: randomUUID(),
      access,
    };
    const text = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const key = createPrivateKey(readFileSync(this.#key.key));
    const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

const mayDo: Rights = (username, scope) => username !== undefined || /^repository:public\/[^:]*:pull$/.test(scope);

function grant(username: string | undefined, scope: string): unknown[] {
  const [type, name, actions = ''] = scope.split(':');
  const allowed = actions.split(',').filter(action => mayDo(username, `${type}:${name}:${action}`));
  return [{ type, name, actions: allowed }];
}

import { CoppiceError } from '../protocol/errors.ts';
import { Authorization } from './authorization.ts';
import { readBounded } from './boundedBody.ts';
import type { CredentialSource } from './credentials.ts';
import { digestOf, isDigest, matches, shortDigest } from './digest.ts';
import { isLoopback } from './localAddress.ts';
import { LARGEST_MANIFEST, MANIFEST_TYPES } from './manifest.ts';
import { patiently } from './patience.ts';
import { type RegistryReference, registryHost, tagOrDigest } from './reference.ts';
import { answerTrouble, connectionTrouble } from './registryErrors.ts';
import { speaksTls } from './speaksTls.ts';
import { discard, type HttpRequest, type HttpResponse, Transport } from './transport.ts';
import type { Trust } from './trust.ts';

const ATTEMPTS = 5;
const LARGEST_TAG_LIST = 1_048_576;

export interface FetchedManifest {
  readonly digest: string;
  readonly bytes: Buffer;
}

/** One conversation with one registry about one image: manifests, blobs, tags. Tokens and connections end with it. */
export class RegistrySession {
  readonly reference: RegistryReference;
  /** `host:port` that is asked. */
  readonly host: string;
  readonly #transport: Transport;
  readonly #authorization: Authorization;
  readonly #firstAttempts: number;
  #base: Promise<URL> | undefined;

  constructor(
    reference: RegistryReference,
    credentials: CredentialSource,
    surroundings: { readonly env: NodeJS.ProcessEnv; readonly trust: Trust },
    /** Where there is another way, one attempt to reach it is enough. */
    options: { readonly patient: boolean } = { patient: true },
  ) {
    this.reference = reference;
    this.host = registryHost(reference);
    this.#transport = new Transport(this.host, surroundings.env, surroundings.trust);
    this.#authorization = new Authorization({
      host: this.host,
      repository: reference.repository,
      key: credentialKey(reference),
      source: credentials,
      transport: this.#transport,
    });
    this.#firstAttempts = options.patient ? ATTEMPTS : 1;
  }

  /** The digest that the reference's tag points to now, where the registry says so without sending more. */
  async headDigest(signal: AbortSignal): Promise<string | undefined> {
    const path = `manifests/${tagOrDigest(this.reference)}`;
    return patiently(this.#firstAttempts, signal, async () => {
      const response = await this.#send('HEAD', path, { accept: MANIFEST_TYPES }, signal);
      await discard(response);
      // What a registry does not say about a head it may still say about the whole; and errors need their text.
      if (response.status !== 200) return undefined;
      const digest = response.headers['docker-content-digest'];
      return typeof digest === 'string' ? digest : undefined;
    });
  }

  /** By tag or digest; what comes is what the digest says. */
  manifest(tagOrDigestWanted: string, signal: AbortSignal): Promise<FetchedManifest & { readonly type: string }> {
    return patiently(ATTEMPTS, signal, async () => {
      const path = `manifests/${tagOrDigestWanted}`;
      const response = await this.#send('GET', path, { accept: MANIFEST_TYPES }, signal);
      if (response.status === 404) throw await this.#missing(response, tagOrDigestWanted, signal);
      await this.#expect(response, [200]);
      const bytes = await this.#read(response, LARGEST_MANIFEST, 'manifest');
      const said = response.headers['docker-content-digest'];
      const wanted = tagOrDigestWanted.includes(':') ? tagOrDigestWanted : undefined;
      const digest = checkedDigest(bytes, wanted ?? (typeof said === 'string' ? said : undefined), this.host);
      return { digest, bytes, type: response.headers['content-type'] ?? '' };
    });
  }

  /** A small blob whole, verified. */
  blob(digest: string, size: number, signal: AbortSignal): Promise<Buffer> {
    return patiently(ATTEMPTS, signal, async () => {
      const response = await this.#send('GET', `blobs/${digest}`, {}, signal);
      await this.#expect(response, [200]);
      const bytes = await this.#read(response, size, 'blob');
      if (bytes.length !== size || !matches(bytes, digest)) throw badDigest(digest, this.host);
      return bytes;
    });
  }

  /** A large blob from `offset` on; the answer may begin earlier, it says where. One attempt. */
  async openBlob(
    digest: string,
    offset: number,
    signal: AbortSignal,
  ): Promise<{ readonly body: HttpResponse['body']; readonly start: number }> {
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const response = await this.#send('GET', `blobs/${digest}`, { 'accept-encoding': 'identity', ...range }, signal);
    if (response.status === 416 && offset > 0) {
      await discard(response);
      return this.openBlob(digest, 0, signal);
    }
    await this.#expect(response, offset > 0 ? [200, 206] : [200]);
    const start = response.status === 206 ? rangeStart(response.headers['content-range']) : 0;
    if (start === undefined || start > offset) {
      await discard(response);
      throw new CoppiceError('registry_unavailable', `${this.host} sent another part of a layer than it was asked for`);
    }
    return { body: response.body, start };
  }

  /** Is the registry there, and are we who it wants? */
  async check(signal: AbortSignal): Promise<{ readonly asked: boolean }> {
    const path = this.reference.repository === '' ? '' : `manifests/${tagOrDigest(this.reference)}`;
    const response = await patiently(ATTEMPTS, signal, () =>
      this.#send('GET', path, { accept: MANIFEST_TYPES }, signal),
    );
    await discard(response);
    if (response.status !== 200 && !(response.status === 404 && path !== '')) throw answerTrouble(response, this.host);
    return { asked: this.#authorization.header !== undefined };
  }

  close(): void {
    this.#transport.close();
  }

  /** Answers whatever the registry says, once we are who it wants. */
  async #send(
    method: 'GET' | 'HEAD',
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const base = await this.#where(signal);
    const url = new URL(path === '' ? '/v2/' : `/v2/${this.reference.repository}/${path}`, base);
    const send = () => this.#reach({ method, url, headers: { ...headers, ...this.#credentials() }, signal });
    let response = await send();
    if (response.status === 401) {
      await discard(response);
      await this.#authorization.answer(base, response.headers['www-authenticate'], signal);
      response = await send();
    }
    if (response.status === 401 || response.status === 403) {
      await discard(response);
      throw await this.#authorization.refused();
    }
    if (response.status === 429 || response.status >= 500 || response.status === 408) {
      await discard(response);
      throw answerTrouble(response, this.host);
    }
    return response;
  }

  #credentials(): Record<string, string> {
    const { header } = this.#authorization;
    return header === undefined ? {} : { authorization: header };
  }

  async #reach(request: HttpRequest): Promise<HttpResponse> {
    try {
      return await this.#transport.send(request);
    } catch (error) {
      request.signal.throwIfAborted();
      throw connectionTrouble(error, this.host);
    }
  }

  #where(signal: AbortSignal): Promise<URL> {
    this.#base ??= this.#findBase(signal).catch(error => {
      this.#base = undefined;
      throw error;
    });
    return this.#base;
  }

  /** TLS; without it only where the user wrote so, or on this machine, when what listens there knows no TLS. */
  async #findBase(signal: AbortSignal): Promise<URL> {
    const plain = new URL(`http://${this.host}`);
    const secure = new URL(`https://${this.host}`);
    if (this.reference.plainHttp) return plain;
    if (!isLoopback(secure.hostname)) return secure;
    return (await speaksTls(secure, signal)) ? secure : plain;
  }

  async #expect(response: HttpResponse, statuses: readonly number[]): Promise<void> {
    if (statuses.includes(response.status)) return;
    await discard(response);
    throw answerTrouble(response, this.host);
  }

  async #read(response: HttpResponse, most: number, what: string): Promise<Buffer> {
    let bytes: Buffer | undefined;
    try {
      bytes = await readBounded(response.body, most);
    } catch (error) {
      throw connectionTrouble(error, this.host);
    }
    if (bytes) return bytes;
    throw new CoppiceError('import_failed', `${this.host} sends a ${what} that is larger than ${most} bytes`, {
      fix: 'That is no ordinary image; look at it with the tool that made it.',
    });
  }

  /** Registries say the same of an image and of a tag that they do not have; the list of tags tells which it is. */
  async #missing(response: HttpResponse, wanted: string, signal: AbortSignal): Promise<CoppiceError> {
    await discard(response);
    const { repository, registry, tag = 'latest' } = this.reference;
    const tags = await this.#tags(signal);
    if (tags === undefined)
      return new CoppiceError('registry_image_not_found', `${registry} has no image ${repository}`, {
        field: 'registry_url',
        fix: 'Check the name; a private one is shown only to who is logged in.',
        data: { registry, repository },
      });
    const what = wanted.includes(':') ? `no ${shortDigest(wanted)} of ${repository}` : `no ${repository}:${tag}`;
    const some = tags.toSorted().slice(0, 20).join(', ');
    return new CoppiceError('registry_tag_not_found', `${registry} has ${what}`, {
      field: 'registry_url',
      fix: some === '' ? 'It has no tags at all.' : `It has ${some}${tags.length > 20 ? ', and more' : ''}.`,
      data: { registry, repository, tags: tags.slice(0, 100) },
    });
  }

  async #tags(signal: AbortSignal): Promise<readonly string[] | undefined> {
    const response = await this.#send('GET', 'tags/list?n=100', {}, signal);
    if (response.status !== 200) {
      await discard(response);
      return response.status === 404 ? undefined : [];
    }
    const bytes = await readBounded(response.body, LARGEST_TAG_LIST);
    return bytes === undefined ? [] : readTags(bytes);
  }
}

/** Credentials for plain HTTP to another machine are only those that were given for exactly that. */
export function credentialKey(reference: RegistryReference): string {
  const { hostname } = new URL(`http://${registryHost(reference)}`);
  return reference.plainHttp && !isLoopback(hostname) ? `http://${reference.registry}` : reference.registry;
}

function checkedDigest(bytes: Buffer, said: string | undefined, host: string): string {
  const digest = said ?? digestOf(bytes);
  if (!isDigest(digest) || !matches(bytes, digest)) throw badDigest(digest, host);
  return digest;
}

export function badDigest(digest: string, from: string): CoppiceError {
  return new CoppiceError(
    'bad_digest',
    `${from} sent something else than ${shortDigest(digest)}: its bytes do not match`,
    {
      fix: 'Nothing of it was used. Try again; when it stays so, the registry or something on the way there is broken.',
      data: { digest },
    },
  );
}

function rangeStart(header: string | undefined): number | undefined {
  const start = /^bytes (\d+)-/.exec(header ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
}

function readTags(bytes: Buffer): readonly string[] {
  try {
    const { tags } = JSON.parse(bytes.toString()) as { readonly tags?: unknown };
    return Array.isArray(tags) ? tags.filter(tag => typeof tag === 'string' && /^\w[\w.-]{0,127}$/.test(tag)) : [];
  } catch {
    return []; // Only candidates for an error that is said anyway.
  }
}

import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { Credentials } from '../../registry/credentials.ts';
import type { KeptCredentials } from '../../registry/keptCredentials.ts';
import { parseRegistry, type RegistryReference } from '../../registry/reference.ts';
import { credentialKey, RegistrySession } from '../../registry/session.ts';
import { Trust } from '../../registry/trust.ts';
import type { Call } from '../call.ts';

type Request = VerbRequest<'registry_auth'>;
type Result = VerbResult<'registry_auth'>;

/** The verb `registry_auth`: credentials are kept only once the registry has taken them, and never said again. */
export class RegistryAuth {
  readonly #kept: KeptCredentials;
  readonly #surroundings: { readonly env: NodeJS.ProcessEnv; readonly trust: Trust };

  constructor(kept: KeptCredentials, env: NodeJS.ProcessEnv) {
    this.#kept = kept;
    this.#surroundings = { env, trust: new Trust(env) };
  }

  async call(request: Request, call: Call): Promise<Result> {
    const reference = parseRegistry(request.registry_url);
    const key = credentialKey(reference);
    if (request.forget) return this.#forget(key);
    const { username, token } = given(request);
    const asked = await this.#try(reference, { kind: 'password', username, password: token }, call.signal);
    if (!asked) return { registry: key, username, status: 'not_needed', hints: [notNeeded(key)] };
    const before = this.#kept.keep(key, username, token);
    const hints = before === undefined || before === username ? [] : [`Until now it was ${before}.`];
    return { registry: key, username, status: 'kept', hints };
  }

  #forget(key: string): Result {
    const username = this.#kept.forget(key) ?? null;
    if (username !== null) return { registry: key, username, status: 'forgotten', hints: [] };
    const hint = 'Nothing was kept for it here. What docker login keeps is used too, and goes with docker logout.';
    return { registry: key, username, status: 'not_known', hints: [hint] };
  }

  /** false: the registry lets everybody in, so nobody can tell whether they are right. */
  async #try(reference: RegistryReference, credentials: Credentials, signal: AbortSignal): Promise<boolean> {
    const session = new RegistrySession(reference, { find: async () => ({ credentials }) }, this.#surroundings);
    try {
      return (await session.check(signal)).asked;
    } catch (error) {
      if (error instanceof CoppiceError && error.code === 'registry_unauthorized') throw notTaken(reference);
      throw error;
    } finally {
      session.close();
    }
  }
}

function given({ username, token }: Request): { username: string; token: string } {
  if (username === undefined) throw invalidInput('username', 'is missing');
  if (token === undefined) throw invalidInput('token', 'is missing');
  return { username, token };
}

function notTaken({ registry, repository }: RegistryReference): CoppiceError {
  return new CoppiceError('registry_unauthorized', `${registry} does not take this user name and token`, {
    field: 'token',
    fix: `Nothing was kept. Look whether both are right${repository === '' ? '' : ` and may read ${repository}`}; many registries want a token made for it instead of the password.`,
    data: { registry },
  });
}

const notNeeded = (registry: string): string =>
  `${registry} asks nobody who he is, so nothing was kept. Where only some of its images are private, name one of them: ${registry}/private/image.`;

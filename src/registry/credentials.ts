/** Who we are to one registry. Never printed, logged or put into an error. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** What a login left instead of the password: good for getting tokens. */
  | { readonly kind: 'identity'; readonly token: string };

export interface CredentialSource {
  /** By the registry's name as people know it, with `http://` where they would travel without TLS to another machine. */
  find(registry: string): Promise<FoundCredentials>;
}

export interface FoundCredentials {
  readonly credentials: Credentials | undefined;
  /** What was asked in vain, a sentence for who then is refused. */
  readonly trouble?: string;
}

/** The first source that knows the registry. */
export function firstOf(...sources: readonly CredentialSource[]): CredentialSource {
  return {
    async find(registry) {
      let trouble: string | undefined;
      for (const source of sources) {
        const found = await source.find(registry);
        if (found.credentials) return found;
        trouble ??= found.trouble;
      }
      return { credentials: undefined, ...(trouble === undefined ? {} : { trouble }) };
    },
  };
}

export function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

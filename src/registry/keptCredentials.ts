import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CoppiceError } from '../protocol/errors.ts';
import type { CredentialSource, Credentials, FoundCredentials } from './credentials.ts';

interface Entry {
  readonly username: string;
  readonly token: string;
}

/** What `registry_auth` was given: one file that only its owner may read, apart from the store and every record. */
export class KeptCredentials implements CredentialSource {
  readonly #file: string;

  constructor(home: string) {
    this.#file = path.join(home, 'registry', 'auth.json');
  }

  async find(registry: string): Promise<FoundCredentials> {
    const entry = this.#read().get(registry);
    const credentials: Credentials | undefined = entry && {
      kind: 'password',
      username: entry.username,
      password: entry.token,
    };
    return { credentials };
  }

  /** Answers whose credentials were kept until now. */
  keep(registry: string, username: string, token: string): string | undefined {
    const entries = this.#read();
    const before = entries.get(registry)?.username;
    entries.set(registry, { username, token });
    this.#write(entries);
    return before;
  }

  /** Answers whose credentials those were. */
  forget(registry: string): string | undefined {
    const entries = this.#read();
    const before = entries.get(registry)?.username;
    if (entries.delete(registry)) this.#write(entries);
    return before;
  }

  #read(): Map<string, Entry> {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
      throw error;
    }
    try {
      return new Map(Object.entries((JSON.parse(text) as { registries: Record<string, Entry> }).registries));
    } catch {
      // The parser's own message would quote it.
      throw new CoppiceError('internal', `${this.#file} is damaged`, { fix: 'Remove it and log in again.' });
    }
  }

  #write(entries: ReadonlyMap<string, Entry>): void {
    mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    if (entries.size === 0) {
      rmSync(this.#file, { force: true });
      return;
    }
    const aside = `${this.#file}.${randomUUID()}`;
    try {
      const text = JSON.stringify({ registries: Object.fromEntries(entries) });
      writeFileSync(aside, text, { mode: 0o600, flag: 'wx', flush: true });
      renameSync(aside, this.#file);
    } finally {
      rmSync(aside, { force: true });
    }
  }
}

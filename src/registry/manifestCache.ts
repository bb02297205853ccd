import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isDigest, matches } from './digest.ts';

const MOST = 400;

/** Manifests and indexes by digest, so that looking whether a tag has moved costs a registry one HEAD. */
export class ManifestCache {
  readonly #folder: string;

  constructor(home: string) {
    this.#folder = path.join(home, 'registry', 'manifests');
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Only what still is what it is called. */
  get(digest: string): Buffer | undefined {
    if (!isDigest(digest)) return undefined;
    try {
      const bytes = readFileSync(this.#file(digest));
      return matches(bytes, digest) ? bytes : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  put(digest: string, bytes: Buffer): void {
    const file = this.#file(digest);
    const aside = `${file}.${process.pid}.new`;
    writeFileSync(aside, bytes, { mode: 0o600 });
    renameSync(aside, file);
    this.#forgetOldest();
  }

  #file(digest: string): string {
    return path.join(this.#folder, digest.replace(':', '-'));
  }

  #forgetOldest(): void {
    const names = readdirSync(this.#folder);
    if (names.length <= MOST) return;
    const files = names.map(name => path.join(this.#folder, name));
    const byAge = files.map(file => ({ file, at: statSync(file).mtimeMs })).sort((a, b) => a.at - b.at);
    for (const { file } of byAge.slice(0, names.length - MOST)) rmSync(file, { force: true });
  }
}

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** What Coppice makes in a daemon is told from everything else by these labels. */
export const homeLabel = 'coppice.home';
export const kindLabel = 'coppice.kind';
export const idLabel = 'coppice.id';
export const parentLabel = 'coppice.parent';
export const operationLabel = 'coppice.operation';

export type Kind = 'run' | 'sandbox' | 'view' | 'work' | 'pause' | 'tools' | 'image' | 'ground' | 'build';

/**
 * Names of one COPPICE_HOME's things in a daemon, which may serve several. The home's own number is made when a daemon
 * is first used: where there is none, nothing of it can be in any daemon.
 */
export class Names {
  readonly home: string;

  private constructor(home: string) {
    this.home = home;
  }

  static of(folder: string): Names {
    return Names.existing(folder) ?? Names.#make(folder);
  }

  static existing(folder: string): Names | undefined {
    const file = path.join(folder, 'home-id');
    if (!existsSync(file)) return undefined;
    const home = readFileSync(file, 'utf8').trim();
    if (!/^[0-9a-f]{12}$/.test(home)) throw new Error(`${file} does not hold what was written there`);
    return new Names(home);
  }

  static #make(folder: string): Names {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const home = randomUUID().replaceAll('-', '').slice(0, 12);
    const file = path.join(folder, 'home-id');
    writeFileSync(`${file}.new`, `${home}\n`);
    renameSync(`${file}.new`, file);
    return new Names(home);
  }

  labels(kind: Kind, id: string): Record<string, string> {
    return { [homeLabel]: this.home, [kindLabel]: kind, [idLabel]: id };
  }

  container(id: string): string {
    return `coppice-${this.home}-${id}`;
  }

  /** No registry is ever called localhost: nothing of it can be pulled or pushed by accident. */
  get repository(): string {
    return `localhost/coppice/${this.home}`;
  }

  image(tag: string): string {
    return `${this.repository}:${tag}`;
  }

  volume(id: string): string {
    return `coppice-${this.home}-${id}`;
  }

  /** The filter for lists of containers, volumes and images. */
  get filter(): { readonly label: string[] } {
    return { label: [`${homeLabel}=${this.home}`] };
  }
}

export const shortHash = (...parts: readonly string[]): string =>
  createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);

import { lstatSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { CoppiceError } from '../protocol/errors.ts';

/**
 * The folders of this machine that an agent may read from and write to. What is checked is where a path really
 * leads, links and `..` followed; the answer is that place, so that what was checked is what is used.
 */
export class Fence {
  readonly #folders: readonly string[];
  readonly #howToAllow: string;

  /** The first folder is the one that relative paths start from. */
  constructor(folders: readonly string[], howToAllow: string) {
    this.#howToAllow = howToAllow;
    this.#folders = folders.map(folder => realPlace(path.resolve(folder))).filter(place => place !== undefined);
  }

  get home(): string | undefined {
    return this.#folders[0];
  }

  inside(field: string, given: string): string {
    const absolute = path.resolve(this.home ?? path.sep, given);
    const place = realPlace(absolute);
    if (place !== undefined && this.#folders.some(folder => isWithin(place, folder))) return place;
    throw new CoppiceError('fenced', `${field}: ${place ?? absolute} is outside what this agent may reach`, {
      field,
      fix: [
        ...(this.#folders.length > 0 ? [`Use a path inside ${this.#folders.join(' or ')}.`] : []),
        this.#howToAllow,
      ].join(' '),
      data: { allowed: this.#folders },
    });
  }
}

const isWithin = (place: string, folder: string): boolean =>
  place === folder || place.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);

/** Links resolved as far as the path exists; undefined where it leads nowhere that can be told. */
function realPlace(absolute: string): string | undefined {
  const missing: string[] = [];
  for (let at = absolute; ; at = path.dirname(at)) {
    const real = resolved(at);
    if (real !== undefined) return path.join(real, ...missing);
    // A link that dangles would be followed once something is written there.
    if (isThere(at) || path.dirname(at) === at) return undefined;
    missing.unshift(path.basename(at));
  }
}

function resolved(place: string): string | undefined {
  try {
    return realpathSync(place);
  } catch {
    return undefined; // Missing, dangling or unreadable: isThere tells them apart.
  }
}

function isThere(place: string): boolean {
  try {
    lstatSync(place);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

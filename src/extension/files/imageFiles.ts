import { Buffer } from 'node:buffer';
import { CoppiceError, type ErrorCode } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import type { EngineConnection } from '../engineConnection.ts';

export type Looked = VerbResult<'stat_file'>;

const NOT_THERE: ReadonlySet<string> = new Set<ErrorCode>(['path_not_found', 'not_a_directory']);
const PAGE = 8 * 1024 * 1024;
/** An editor shows no more; a folder of so many files is downloaded or searched, not browsed. */
const MOST_ENTRIES = 20_000;
const MOST_KEPT = 5_000;

/** Files of images, asked of the engine and remembered: an image never changes. */
export class ImageFiles {
  readonly #connection: EngineConnection;
  readonly #looked = new Map<string, Promise<Looked>>();
  readonly #listed = new Map<string, Promise<VerbResult<'list_files'>>>();

  constructor(connection: EngineConnection) {
    this.#connection = connection;
  }

  stat(image: string, path: string, foundBy?: string): Promise<Looked> {
    const input = { image, path, ...found(foundBy) };
    return remembered(this.#looked, `${image}:${foundBy}:${path}`, () => this.#connection.call('stat_file', input));
  }

  /** undefined: there is no such file. */
  async find(image: string, path: string, foundBy?: string): Promise<Looked | undefined> {
    try {
      return await this.stat(image, path, foundBy);
    } catch (error) {
      if (error instanceof CoppiceError && NOT_THERE.has(error.code)) return undefined;
      throw error;
    }
  }

  list(image: string, path: string): Promise<VerbResult<'list_files'>> {
    return remembered(this.#listed, `${image}:${path}`, () =>
      this.#connection.call('list_files', { image, path, follow: true, limit: MOST_ENTRIES }),
    );
  }

  /** The whole file, a page at a time. */
  async read(image: string, path: string, size: number, foundBy?: string): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    for (let offset = 0; offset < size; ) {
      const page = await this.#page({ image, path, ...found(foundBy) }, offset, Math.min(PAGE, size - offset));
      if (page.length === 0) return bytes.subarray(0, offset);
      bytes.set(page, offset);
      offset += page.length;
    }
    return bytes;
  }

  async #page(
    file: { readonly image: string; readonly path: string },
    offset: number,
    length: number,
  ): Promise<Uint8Array> {
    const { content } = await this.#connection.call('read_file', { ...file, offset, length, encoding: 'base64' });
    return Buffer.from(content, 'base64');
  }
}

const found = (by: string | undefined) => (by === undefined ? {} : { found_by: by });

/** What a link leads to, else the path itself. */
export const meant = ({ entry, target }: Looked): FileEntry => target ?? entry;

/** A failure is not remembered; the oldest is forgotten first. */
function remembered<T>(kept: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const known = kept.get(key);
  if (known) return known;
  const asked = ask();
  kept.set(key, asked);
  asked.catch(() => kept.delete(key));
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!);
  return asked;
}

import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineClient } from '../engineClient.ts';
import { fromBase64, toBase64 } from './bytes.ts';
import type { JobParams, Piece } from './jobs.ts';

const PIECE = 4 * 1024 * 1024;
const STREAM_PIECE = 1024 * 1024;

/** Files of any size, a piece at a time. */
export class FileJobs {
  readonly #client: () => Promise<EngineClient>;
  /** The last write to each file: pieces of two do not mix. */
  readonly #writing = new Map<string, Promise<unknown>>();

  constructor(client: () => Promise<EngineClient>) {
    this.#client = client;
  }

  async readFile({ sandbox, path }: JobParams<'readFile'>, signal: AbortSignal): Promise<Uint8Array> {
    const first = await this.#page(sandbox, path, 0, PIECE, signal);
    if (first.eof) return fromBase64(first.content_base64);
    let whole = new Uint8Array(first.size);
    let page = first;
    for (let at = 0; ; at = page.next_offset, page = await this.#page(sandbox, path, at, PIECE, signal)) {
      const bytes = Buffer.from(page.content_base64, 'base64');
      if (at + bytes.length > whole.length) whole = grown(whole, Math.max(page.size, at + bytes.length));
      whole.set(bytes, at);
      if (page.eof) return at + bytes.length === whole.length ? whole : whole.slice(0, at + bytes.length);
      if (bytes.length === 0) throw shrank(sandbox, path);
    }
  }

  async readPiece({ sandbox, path, offset }: JobParams<'readPiece'>, signal: AbortSignal): Promise<Piece> {
    const page = await this.#page(sandbox, path, offset, STREAM_PIECE, signal);
    const bytes = fromBase64(page.content_base64);
    return { bytes, eof: page.eof || bytes.byteLength === 0 };
  }

  async #page(sandbox_id: string, path: string, offset: number, length: number, signal: AbortSignal) {
    const client = await this.#client();
    return client.call('read_sandbox_file', { sandbox_id, path, offset, length }, { signal });
  }

  /** One piece replaces the file at once; what is larger arrives piece by piece. */
  writeFile(params: JobParams<'writeFile'>, signal: AbortSignal): Promise<null> {
    const key = `${params.sandbox} ${params.path}`;
    const turn = (this.#writing.get(key) ?? Promise.resolve()).then(() => this.#write(params, signal));
    const over = turn
      .catch(() => undefined) // Told to who asked for it.
      .then(() => {
        if (this.#writing.get(key) === over) this.#writing.delete(key);
      });
    this.#writing.set(key, over);
    return turn;
  }

  async #write({ sandbox, path, bytes, mode, append }: JobParams<'writeFile'>, signal: AbortSignal): Promise<null> {
    const client = await this.#client();
    for (let at = 0; at === 0 || at < bytes.byteLength; at += PIECE) {
      await client.call(
        'write_sandbox_file',
        {
          sandbox_id: sandbox,
          path,
          content_base64: toBase64(bytes.subarray(at, at + PIECE)),
          append: append || at > 0,
          ...(mode === undefined ? {} : { mode }),
        },
        { signal },
      );
    }
    return null;
  }
}

function grown(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

function shrank(sandbox: string, path: string): CoppiceError {
  return new CoppiceError('conflict', `sandbox ${sandbox}: ${path} changed while it was read`, {
    fix: 'Read it again when nobody writes to it.',
    data: { path },
  });
}

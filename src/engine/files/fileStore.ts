import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { SandboxSpec } from '../../runtimes/runtime.ts';
import type { Call } from '../call.ts';
import type { Blobs } from '../store/blobs.ts';
import type { Database } from '../store/database.ts';

/** Uploaded files: a UUID names a blob. The same bytes are one blob, however often they come. */
export class FileStore {
  readonly #database: Database;
  readonly #blobs: Blobs;

  constructor(database: Database, blobs: Blobs) {
    this.#database = database;
    this.#blobs = blobs;
  }

  async upload(request: VerbRequest<'upload'>, call: Call): Promise<VerbResult<'upload'>> {
    const { sha256, size } =
      request.path === undefined ? this.#blobs.put(contentOf(request)) : await this.#putFile(request.path, call.signal);
    const uuid = randomUUID();
    this.#database.run(
      'INSERT INTO files (uuid, sha256, size, created_at) VALUES (?, ?, ?, ?)',
      uuid,
      sha256,
      size,
      Date.now(),
    );
    return { uuid, sha256, size };
  }

  async #putFile(path: string, signal: AbortSignal): Promise<{ readonly sha256: string; readonly size: number }> {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats) throw new CoppiceError('path_not_found', `no file ${path}`, { field: 'path' });
    if (!stats.isFile())
      throw new CoppiceError('not_a_file', `not a file: ${path}`, {
        field: 'path',
        fix: 'Upload one file; for a folder use rsync.',
      });
    return this.#blobs.putFile(path, signal);
  }

  /** The blobs that `run`'s `files` name. */
  laidOver(files: Readonly<Record<string, string>>): SandboxSpec['files'] {
    return Object.entries(files).map(([path, uuid]) => {
      if (path.endsWith('/') || path.split('/').includes('..'))
        throw invalidInput('files', `not a path of a file inside: ${path}`);
      const file = this.#database.get<{ sha256: string }>('SELECT sha256 FROM files WHERE uuid = ?', uuid);
      if (!file)
        throw new CoppiceError('file_not_found', `no uploaded file ${uuid}`, {
          field: `files.${path}`,
          fix: 'Upload it first.',
          data: { file: uuid },
        });
      return { path, blob: this.#blobs.path(file.sha256) };
    });
  }
}

function contentOf(request: VerbRequest<'upload'>): Buffer {
  return request.content_base64 === undefined
    ? Buffer.from(request.content!, 'utf8')
    : Buffer.from(request.content_base64, 'base64');
}

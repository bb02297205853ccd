import type { FileEntry } from '../protocol/schemas/files.ts';
import type { VerbName } from '../protocol/verbs.ts';
import { asSandboxError, invalid, type SandboxError } from './errors.ts';
import type { Link } from './link.ts';
import { OperationRef, type RefAbout } from './operationRef.ts';
import { StreamReader } from './streamReader.ts';
import { bytesOf, type DataSource, feed, isWhole, needsLoop, StreamWriter } from './streamWriter.ts';

/** A file, folder or link inside a sandbox. */
export interface FileInfo {
  readonly path: string;
  readonly name: string;
  readonly type: 'file' | 'directory' | 'link' | 'other';
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: Date;
  /** Where a link points. */
  readonly link: string | null;
}

export type TextEncoding = 'utf8' | 'utf-8' | 'utf16le' | 'latin1' | 'ascii' | 'base64' | 'base64url' | 'hex';

export interface WriteOptions {
  /** Permission bits; a new file has 0o644. */
  readonly mode?: number;
  /** After what is there, instead of in its place. */
  readonly append?: boolean;
}

/** The files of a living sandbox. Paths are absolute inside it; nothing inside is needed for it, and no link leads out. */
export class SandboxFiles {
  readonly #link: Link;
  readonly #sandbox: string;

  /** @internal Made by the sandbox. */
  constructor(link: Link, sandboxId: string) {
    this.#link = link;
    this.#sandbox = sandboxId;
  }

  /** As text with an encoding, else as bytes. */
  read(path: string): OperationRef<Uint8Array>;
  read(path: string, options: { readonly encoding: TextEncoding }): OperationRef<string>;
  read(path: string, { encoding }: { readonly encoding?: TextEncoding } = {}): OperationRef<Uint8Array | string> {
    if (encoding !== undefined && !Buffer.isEncoding(encoding)) throw invalid('encoding', `${encoding} is none`);
    return OperationRef.job(this.#about('readFile'), 'readFile', { sandbox: this.#sandbox, path }, bytes =>
      encoding === undefined ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding),
    );
  }

  /** Folders above it are made. A file of 4 MiB or less is replaced at once, what is larger arrives piece by piece. */
  write(path: string, data: DataSource, options: WriteOptions = {}): OperationRef<void> {
    if (isWhole(data)) return this.#write(path, bytesOf(data), options);
    let feeding = needsLoop(data);
    return new OperationRef<void>({
      ...this.#about('writeFile'),
      needsLoop: () => (feeding ? 'what is written comes from an async iterable, which needs this thread' : undefined),
      begin: settle => {
        const writer = this.#pieces(path, options);
        let stopped: SandboxError | undefined;
        const sink = (bytes: Uint8Array) => {
          if (stopped) throw stopped;
          return writer(bytes);
        };
        feed(data, sink, failure => {
          feeding = false;
          settle(failure ? { error: failure } : { value: undefined });
        });
        const cancel = () => {
          stopped = asSandboxError(new DOMException('cancelled', 'AbortError'), this.#sandbox);
        };
        return { cancel, hold: () => undefined };
      },
    });
  }

  list(path: string): OperationRef<FileInfo[]> {
    return this.#ask('list', 'list_sandbox_files', { path }, result =>
      (result as { readonly entries: readonly FileEntry[] }).entries.map(fileInfo),
    );
  }

  /** A link is told as itself. */
  stat(path: string): OperationRef<FileInfo> {
    return this.#ask('stat', 'stat_sandbox_file', { path }, entry => fileInfo(entry as FileEntry));
  }

  /** Folders above it are made too; one that is there is left as it is. */
  mkdir(path: string, { mode }: { readonly mode?: number } = {}): OperationRef<void> {
    return this.#ask('mkdir', 'make_sandbox_folder', { path, ...(mode === undefined ? {} : { mode }) }, nothing);
  }

  /** A folder with something in it only when `recursive`. */
  remove(path: string, { recursive = false }: { readonly recursive?: boolean } = {}): OperationRef<void> {
    return this.#ask('remove', 'remove_sandbox_file', { path, recursive }, nothing);
  }

  /** A file that has the new name is replaced. */
  rename(path: string, to: string): OperationRef<void> {
    return this.#ask('rename', 'rename_sandbox_file', { path, to }, nothing);
  }

  /** A piece at a time: `for (const piece of files.readStream(path).bytes())`. */
  readStream(path: string): StreamReader {
    const about = this.#about('readStream');
    return new StreamReader(about, offset =>
      OperationRef.job(about, 'readPiece', { sandbox: this.#sandbox, path, offset }, piece => piece),
    );
  }

  /** The first piece replaces the file, the others follow it. */
  writeStream(path: string, options: WriteOptions = {}): StreamWriter {
    return new StreamWriter(this.#pieces(path, options));
  }

  #pieces(path: string, options: WriteOptions): (bytes: Uint8Array) => OperationRef<void> {
    let begun = false;
    return bytes => {
      const append = options.append === true || begun;
      begun = true;
      return this.#write(path, bytes, { ...options, append });
    };
  }

  #write(path: string, bytes: Uint8Array, { mode, append = false }: WriteOptions): OperationRef<void> {
    const params = { sandbox: this.#sandbox, path, bytes, mode, append };
    return OperationRef.job(this.#about('writeFile'), 'writeFile', params, nothing);
  }

  #ask<T>(what: string, verb: VerbName, input: object, map: (result: unknown) => T): OperationRef<T> {
    const params = { verb, input: { sandbox_id: this.#sandbox, ...input }, sandbox: this.#sandbox };
    return OperationRef.job(this.#about(what), 'verb', params, map);
  }

  #about(what: string): RefAbout {
    return { link: this.#link, what, sandboxId: this.#sandbox };
  }
}

const nothing = (): void => undefined;

function fileInfo({ mtime, ...entry }: FileEntry): FileInfo {
  return { ...entry, modified: new Date(mtime) };
}

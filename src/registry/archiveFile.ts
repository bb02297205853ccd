import { createHash } from 'node:crypto';
import { write } from 'node:fs';
import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip } from 'node:zlib';
import { encodeHeader, TAR_END, tarPadding } from './tarEncode.ts';

const writeAt = promisify(write);

export interface WrittenBlob {
  /** Of the blob as it is in the archive. */
  readonly digest: string;
  readonly size: number;
  /** Of what was packed. */
  readonly plainDigest: string;
}

/**
 * A tar that is written into an open file. What a stream's entry is called and how long it is are known when it has ended:
 * its header is written last, in the place that was left for it.
 */
export class ArchiveFile {
  readonly #fd: number;
  readonly #written: (bytes: number) => void;
  readonly #names = new Set<string>();
  #end = 0;

  constructor(fd: number, written: (bytes: number) => void) {
    this.#fd = fd;
    this.#written = written;
  }

  /** Readers that are no root make the folders that no entry names as root's, and fail. */
  async addFolder(name: string): Promise<void> {
    await this.#append(encodeHeader({ name, type: 'directory', mode: 0o755 }));
  }

  async addBytes(name: string, bytes: Buffer): Promise<void> {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    await this.#append(Buffer.concat([encodeHeader({ name, size: bytes.length }), bytes, tarPadding(bytes.length)]));
  }

  /** A blob that is there already under its name is not kept twice. */
  async addStream(
    source: Readable,
    options: { readonly gzip: boolean; readonly nameOf: (digest: string) => string; readonly signal: AbortSignal },
  ): Promise<WrittenBlob> {
    const start = this.#end;
    // Names of digests are short: a header is a block.
    this.#end += encodeHeader({ name: options.nameOf('0'.repeat(64)) }).length;
    const body = this.#end;
    const plain = createHash('sha256');
    const packed = createHash('sha256');
    const output = new Writable({
      highWaterMark: 1 << 20,
      write: (chunk: Buffer, _encoding, callback) => {
        packed.update(chunk);
        this.#append(chunk).then(() => callback(), callback);
      },
    });
    const hashed = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        plain.update(chunk);
        yield chunk;
      }
    };
    const gzip = options.gzip ? [createGzip({ level: 1, chunkSize: 256 << 10 })] : [];
    await pipeline([source, hashed, ...gzip, output] as never, { signal: options.signal });
    const size = this.#end - body;
    const blob = { digest: `sha256:${packed.digest('hex')}`, size, plainDigest: `sha256:${plain.digest('hex')}` };
    const name = options.nameOf(blob.digest.slice('sha256:'.length));
    if (this.#names.has(name)) {
      this.#end = start;
      return blob;
    }
    this.#names.add(name);
    await this.#append(tarPadding(size));
    await writeWhole(this.#fd, encodeHeader({ name, size }), start);
    return blob;
  }

  /** Answers the size of the whole. What was written beyond it, of blobs that were there already, is to be cut off. */
  async finish(): Promise<number> {
    await this.#append(TAR_END);
    return this.#end;
  }

  async #append(bytes: Buffer): Promise<void> {
    const position = this.#end;
    this.#end += bytes.length;
    await writeWhole(this.#fd, bytes, position);
    this.#written(bytes.length);
  }
}

export async function writeWhole(fd: number, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await writeAt(fd, bytes, done, bytes.length - done, position + done)).bytesWritten;
}

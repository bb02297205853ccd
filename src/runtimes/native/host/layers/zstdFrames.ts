import { once } from 'node:events';
import { Duplex } from 'node:stream';
import * as zlib from 'node:zlib';
import { TarError } from './tarError.ts';

/**
 * Decompresses zstd of any number of frames, skippable ones among them: tools write an image's layer in many. Node's own
 * stream ends with the first, so each gets one of its own.
 */
export class ZstdFrames extends Duplex {
  readonly #chunkSize: number;
  readonly #ends = new FrameEnds();
  #decoder: zlib.ZstdDecompress | undefined;

  constructor(chunkSize: number) {
    super();
    this.#chunkSize = chunkSize;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error) => void): void {
    this.#take(chunk).then(() => callback(), callback);
  }

  override _final(callback: (error?: Error) => void): void {
    if (this.#decoder === undefined) {
      this.push(null);
      callback();
    } else callback(new TarError('it ends too early'));
  }

  override _read(): void {
    this.#decoder?.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#decoder?.destroy();
    callback(error);
  }

  async #take(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.length > 0) {
      const end = this.#ends.find(rest);
      this.#decoder ??= this.#open();
      const frame = rest.subarray(0, end);
      if (end === undefined) {
        if (!this.#decoder.write(frame)) await once(this.#decoder, 'drain');
        return;
      }
      this.#decoder.end(frame);
      await once(this.#decoder, 'end');
      this.#decoder = undefined;
      rest = rest.subarray(end);
    }
  }

  #open(): zlib.ZstdDecompress {
    const decoder = zlib.createZstdDecompress({ chunkSize: this.#chunkSize });
    decoder.on('data', (plain: Buffer) => {
      if (!this.push(plain)) decoder.pause();
    });
    decoder.on('error', error => this.destroy(error));
    return decoder;
  }
}

const magic = 0xfd2fb528;
const skippable = 0x184d2a50;
const dictionaryBytes = [0, 1, 2, 4];

/** Where frames end, by what their headers say (RFC 8878). */
class FrameEnds {
  #inFrame = false;
  /** Of a header that has not come whole. */
  #head: number[] = [];
  /** Bytes of a block, or of what is skipped, before the next header or the end. */
  #left = 0;
  #last = false;
  #checksum = 0;

  /** Index behind the current frame's last byte; undefined: it goes on. */
  find(bytes: Buffer): number | undefined {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const length = Math.min(this.#left, bytes.length - at);
        this.#left -= length;
        at += length;
      } else {
        this.#head.push(bytes[at++]!);
        if (!(this.#inFrame ? this.#readBlock() : this.#readFrame())) continue;
        this.#head = [];
      }
      if (this.#left > 0 || !this.#last) continue;
      this.#inFrame = false;
      this.#last = false;
      return at;
    }
    return undefined;
  }

  /** False: the header has not come whole. */
  #readFrame(): boolean {
    if (this.#head.length < 5) return false;
    const head = Buffer.from(this.#head);
    const kind = head.readUInt32LE(0);
    if ((kind & ~0xf) >>> 0 === skippable) {
      if (head.length < 8) return false;
      this.#left = head.readUInt32LE(4);
      this.#last = true;
      return true;
    }
    if (kind !== magic) throw new TarError('its zstd is broken');
    const descriptor = head[4]!;
    const single = (descriptor & 0x20) !== 0;
    const flag = descriptor >> 6;
    const size = flag === 0 ? (single ? 1 : 0) : 1 << flag;
    if (head.length < 5 + (single ? 0 : 1) + dictionaryBytes[descriptor & 3]! + size) return false;
    this.#checksum = (descriptor & 4) === 0 ? 0 : 4;
    this.#inFrame = true;
    return true;
  }

  #readBlock(): boolean {
    if (this.#head.length < 3) return false;
    const header = Buffer.from(this.#head).readUIntLE(0, 3);
    this.#last = (header & 1) !== 0;
    // A run is one byte, however long it is.
    this.#left = ((header >> 1) & 3) === 1 ? 1 : header >> 3;
    if (this.#last) this.#left += this.#checksum;
    return true;
  }
}

import { Transform, type TransformCallback } from 'node:stream';
import { encodeHeader, encodePax, TAR_BLOCK, TAR_END, tarPadding } from '../../registry/tarEncode.ts';
import { isKeptAttribute } from './host/layers/marks.ts';
import { entryOf, type Overrides, overridesOf, type TarEntry } from './host/layers/tarHeader.ts';

const xattrPrefix = 'SCHILY.xattr.';
const opaque = `${xattrPrefix}user.overlay.opaque`;

/**
 * Makes an OCI layer of the tar that GNU tar makes of a native one: overlayfs's whiteouts and opaque folders become names that
 * begin with `.wh.`, its own attributes and devices go. Everything else passes as it is.
 */
export class OciLayerTar extends Transform {
  /** What did not make a whole block, header or content yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** Blocks that belong to the entry whose header is not read yet. */
  #before: Buffer[] = [];
  #said: Overrides = {};
  /** Bytes of content and padding to pass on, or to leave out. */
  #left = 0;
  #dropping = false;
  #ended = false;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    try {
      let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      while (bytes.length > 0 && !this.#ended) {
        const taken = this.#take(bytes);
        if (taken === 0) break;
        bytes = bytes.subarray(taken);
      }
      this.#rest = this.#ended ? Buffer.alloc(0) : bytes;
      callback();
    } catch (error) {
      callback(error as Error);
    }
  }

  override _flush(callback: TransformCallback): void {
    if (this.#ended) callback(null, TAR_END);
    else callback(new Error('the tar of a layer ended too early'));
  }

  /** 0: more is needed. */
  #take(bytes: Buffer): number {
    if (this.#left > 0) {
      const length = Math.min(this.#left, bytes.length);
      if (!this.#dropping) this.push(bytes.subarray(0, length));
      this.#left -= length;
      return length;
    }
    if (bytes.length < TAR_BLOCK) return 0;
    const block = bytes.subarray(0, TAR_BLOCK);
    if (block[0] === 0) {
      this.#ended = true;
      return TAR_BLOCK;
    }
    const type = String.fromCharCode(block[156]!);
    return 'xgLK'.includes(type) ? this.#takeSpecial(type, block, bytes) : this.#takeEntry(block);
  }

  #takeSpecial(type: string, block: Buffer, bytes: Buffer): number {
    const { packedSize } = entryOf(block, {}, {});
    const whole = TAR_BLOCK + packedSize + tarPadding(packedSize).length;
    if (bytes.length < whole) return 0;
    this.#said = { ...this.#said, ...overridesOf(type, bytes.subarray(TAR_BLOCK, TAR_BLOCK + packedSize)) };
    this.#before.push(Buffer.from(bytes.subarray(0, whole)));
    return whole;
  }

  #takeEntry(block: Buffer): number {
    const said = this.#said;
    const entry = entryOf(block, {}, said);
    this.#left = entry.packedSize + tarPadding(entry.packedSize).length;
    this.#dropping = entry.type === 'device';
    if (this.#dropping) this.#passWhiteout(entry, block);
    else {
      this.#passBefore(said);
      this.push(Buffer.from(block));
      if (entry.type === 'directory' && said[opaque] === 'y')
        this.push(encodeHeader({ name: `${entry.name.replace(/\/*$/, '/')}.wh..wh..opq`, mode: 0 }));
    }
    this.#before = [];
    this.#said = {};
    return TAR_BLOCK;
  }

  #passBefore(said: Overrides): void {
    const kept = Object.entries(said).filter(([key]) => !key.startsWith(xattrPrefix) || isKept(key));
    if (kept.length === Object.keys(said).length) for (const bytes of this.#before) this.push(bytes);
    else if (kept.length > 0) this.push(encodePax(kept));
  }

  /** A character device 0:0; others no sandbox could use, nor make. */
  #passWhiteout(entry: TarEntry, block: Buffer): void {
    const isNull = (from: number) => /^[0 \0]*$/.test(block.toString('latin1', from, from + 8));
    if (block[156] !== 0x33 || !isNull(329) || !isNull(337)) return;
    const slash = entry.name.lastIndexOf('/') + 1;
    this.push(encodeHeader({ name: `${entry.name.slice(0, slash)}.wh.${entry.name.slice(slash)}`, mode: 0 }));
  }
}

function isKept(key: string): boolean {
  return isKeptAttribute(key.slice(xattrPrefix.length));
}

import type { StreamName } from '../../protocol/events.ts';

const headerLength = 8;

/**
 * Docker sends both streams of a process through one: frames of a header (which stream, how long) and bytes. What a frame
 * holds is handed on as it comes, nothing is collected.
 */
export class Frames {
  readonly #take: (stream: StreamName, bytes: Buffer) => void;
  #header = Buffer.alloc(0);
  #stream: StreamName = 'stdout';
  #left = 0;

  constructor(take: (stream: StreamName, bytes: Buffer) => void) {
    this.#take = take;
  }

  write(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0; ) {
      if (this.#left === 0) {
        const more = rest.subarray(0, headerLength - this.#header.length);
        this.#header = Buffer.concat([this.#header, more]);
        rest = rest.subarray(more.length);
        if (this.#header.length < headerLength) return;
        this.#stream = this.#header[0] === 2 ? 'stderr' : 'stdout';
        this.#left = this.#header.readUInt32BE(4);
        this.#header = Buffer.alloc(0);
        continue;
      }
      const bytes = rest.subarray(0, this.#left);
      this.#left -= bytes.length;
      rest = rest.subarray(bytes.length);
      this.#take(this.#stream, bytes);
    }
  }
}

import { StringDecoder } from 'node:string_decoder';
import type { SandboxError } from './errors.ts';
import { joined } from './jobs/bytes.ts';
import type { Piece } from './jobs/jobs.ts';
import type { StartedJob } from './link.ts';
import { OperationRef, type RefAbout } from './operationRef.ts';

/** @internal Where bytes come from: asks for what is there from `offset` on, and waits for some. */
export type PieceSource = (offset: number) => OperationRef<Piece>;

/**
 * What a process writes, or a file holds. Each iteration starts at the beginning: nothing is lost whoever reads first, and
 * what nobody reads waits on disk and holds nobody up. `for … of` blocks, `for await … of` waits; lines come without their end.
 */
export class StreamReader implements Iterable<string>, AsyncIterable<string> {
  readonly #about: RefAbout;
  readonly #source: PieceSource;

  /** @internal Made by the SDK's own methods. */
  constructor(about: RefAbout, source: PieceSource) {
    this.#about = about;
    this.#source = source;
  }

  lines(): Iterable<string> & AsyncIterable<string> {
    return new Items(this.#source, () => new Lines());
  }

  /** Text as it came, characters never cut. */
  chunks(): Iterable<string> & AsyncIterable<string> {
    return new Items(this.#source, () => new Chunks());
  }

  bytes(): Iterable<Uint8Array> & AsyncIterable<Uint8Array> {
    return new Items(this.#source, () => new Bytes());
  }

  /** All of it as text, when it has come to its end. */
  readAll(): OperationRef<string> {
    return this.#whole(bytes => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
  }

  readAllBytes(): OperationRef<Uint8Array> {
    return this.#whole(bytes => bytes);
  }

  #whole<T>(map: (bytes: Uint8Array) => T): OperationRef<T> {
    return new OperationRef<T>({
      ...this.#about,
      begin: settle => {
        const pieces: Uint8Array[] = [];
        return eachPiece(
          this.#source,
          piece => pieces.push(piece),
          end => {
            settle(end === undefined ? { value: map(joined(pieces)) } : { error: end });
          },
        );
      },
    });
  }

  [Symbol.iterator](): Iterator<string, undefined> {
    return this.lines()[Symbol.iterator]() as Iterator<string, undefined>;
  }

  [Symbol.asyncIterator](): AsyncIterator<string, undefined> {
    return this.lines()[Symbol.asyncIterator]() as AsyncIterator<string, undefined>;
  }
}

/** @internal Hands over every piece as it arrives, without anybody waiting; answers how to stop. A take that throws ends it with that. */
export function eachPiece(
  source: PieceSource,
  take: (bytes: Uint8Array) => void,
  ended: (failure: SandboxError | undefined) => void,
): StartedJob {
  let pending: OperationRef<Piece> | undefined;
  let stopped = false;
  const next = (offset: number) => {
    pending = source(offset);
    pending.hold();
    pending.whenSettled(outcome => {
      if (stopped) return;
      if ('error' in outcome) return ended(outcome.error);
      const { bytes, eof } = outcome.value;
      if (bytes.byteLength > 0) take(bytes);
      if (eof) ended(undefined);
      else if (!stopped) next(offset + bytes.byteLength);
    });
  };
  next(0);
  return {
    cancel: () => {
      stopped = true;
      pending?.cancel();
    },
    hold: () => pending?.hold(),
  };
}

interface Shape<T> {
  push(bytes: Uint8Array): Iterable<T>;
  end(): Iterable<T>;
}

/** @internal */
export class Lines implements Shape<string> {
  readonly #decoder = new StringDecoder();
  #rest = '';

  push(bytes: Uint8Array): string[] {
    return this.#split(this.#decoder.write(bufferOf(bytes)));
  }

  end(): string[] {
    const lines = this.#split(this.#decoder.end());
    return this.#rest === '' ? lines : [...lines, this.#rest];
  }

  #split(text: string): string[] {
    const lines = text.split('\n');
    lines[0] = this.#rest + lines[0];
    this.#rest = lines.pop()!;
    return lines.map(line => (line.endsWith('\r') ? line.slice(0, -1) : line));
  }
}

/** @internal */
export class Chunks implements Shape<string> {
  readonly #decoder = new StringDecoder();

  push(bytes: Uint8Array): string[] {
    return some(this.#decoder.write(bufferOf(bytes)));
  }

  end(): string[] {
    return some(this.#decoder.end());
  }
}

class Bytes implements Shape<Uint8Array> {
  push(bytes: Uint8Array): Uint8Array[] {
    return bytes.byteLength === 0 ? [] : [bytes];
  }
  end(): Uint8Array[] {
    return [];
  }
}

const some = (text: string): string[] => (text === '' ? [] : [text]);
const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Asked for the next piece only when somebody wants the next item. */
class Items<T> implements Iterable<T>, AsyncIterable<T> {
  readonly #source: PieceSource;
  readonly #shape: () => Shape<T>;

  constructor(source: PieceSource, shape: () => Shape<T>) {
    this.#source = source;
    this.#shape = shape;
  }

  *[Symbol.iterator](): Generator<T, undefined> {
    const shape = this.#shape();
    for (let offset = 0; ; ) {
      const { bytes, eof } = this.#source(offset).get();
      yield* shape.push(bytes);
      offset += bytes.byteLength;
      if (eof) break;
    }
    yield* shape.end();
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, undefined> {
    const shape = this.#shape();
    for (let offset = 0; ; ) {
      const { bytes, eof } = await this.#source(offset);
      yield* shape.push(bytes);
      offset += bytes.byteLength;
      if (eof) break;
    }
    yield* shape.end();
    return undefined;
  }
}

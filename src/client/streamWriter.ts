import type { SandboxError } from './errors.ts';
import { asSandboxError, type InvalidInputError, invalid } from './errors.ts';
import type { OperationRef } from './operationRef.ts';

export type Data = string | Uint8Array;
export type DataSource = Data | Iterable<Data> | AsyncIterable<Data>;

/** @internal Where bytes go: `last` ends it. */
export type PieceSink = (bytes: Uint8Array, last: boolean) => OperationRef<void>;

/** A process's input, or a file that is written piece by piece. Pieces arrive in the order they were written. */
export class StreamWriter {
  readonly #sink: PieceSink;
  #ended: OperationRef<void> | undefined;

  /** @internal Made by the SDK's own methods. */
  constructor(sink: PieceSink) {
    this.#sink = sink;
  }

  /** Over when the other side has room for more. */
  write(data: Data): OperationRef<void> {
    return this.#sink(bytesOf(data), false);
  }

  /** The other side finds the end after what was written. */
  end(data: Data = ''): OperationRef<void> {
    this.#ended ??= this.#sink(bytesOf(data), true);
    return this.#ended;
  }
}

/** @internal The bytes as they are now, in memory of their own: what the caller does to its own later changes nothing. */
export function bytesOf(data: Data): Uint8Array {
  if (typeof data === 'string') return new TextEncoder().encode(data);
  if (data instanceof Uint8Array) return new Uint8Array(data);
  throw notData(data);
}

function notData(data: unknown): InvalidInputError {
  return invalid('data', `is a string, bytes, or an iterable of them, not ${data === null ? 'null' : typeof data}`);
}

/** @internal */
export function isWhole(source: DataSource): source is Data {
  if (typeof source === 'string' || source instanceof Uint8Array) return true;
  if (typeof source === 'object' && source && (Symbol.iterator in source || Symbol.asyncIterator in source))
    return false;
  throw notData(source);
}

/** @internal Its next piece comes by this thread's loop. */
export function needsLoop(source: DataSource): source is AsyncIterable<Data> {
  return !isWhole(source) && Symbol.asyncIterator in source;
}

/**
 * @internal Feeds the sink from the source, each piece when the one before has gone in, so that nothing piles up. A plain iterable
 * goes on whenever an answer arrives, also while the thread is held in `.get()`.
 */
export function feed(
  source: Iterable<Data> | AsyncIterable<Data>,
  sink: PieceSink,
  ended: (failure: SandboxError | undefined) => void,
): void {
  if (needsLoop(source))
    void feedLater(source, sink).then(
      () => ended(undefined),
      error => ended(asSandboxError(error)),
    );
  else feedNext(source[Symbol.iterator](), sink, ended);
}

function feedNext(pieces: Iterator<Data>, sink: PieceSink, ended: (failure: SandboxError | undefined) => void): void {
  let going: { readonly ref: OperationRef<void>; readonly last: boolean };
  try {
    const { done, value } = pieces.next();
    going = { ref: sink(done ? new Uint8Array() : bytesOf(value), done === true), last: done === true };
  } catch (error) {
    ended(asSandboxError(error));
    return;
  }
  going.ref.whenSettled(outcome => {
    if ('value' in outcome && !going.last) return feedNext(pieces, sink, ended);
    pieces.return?.();
    ended('error' in outcome ? outcome.error : undefined);
  });
}

async function feedLater(source: AsyncIterable<Data>, sink: PieceSink): Promise<void> {
  for await (const piece of source) await sink(bytesOf(piece), false);
  await sink(new Uint8Array(), true);
}

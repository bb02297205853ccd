import type { OutputEvent, StreamName } from '../../protocol/events.ts';
import type { Spools } from '../store/spools.ts';

/** Bytes in one event: small enough that a subscriber's queue stays responsive. */
const PIECE = 65_536;

export interface OutputSubscriber {
  /** false: it cannot take more now. It will find the gap by the next event's offset. */
  ready(): boolean;
  send(event: OutputEvent): void;
}

/**
 * Live output: when a spool grows, its new part is read once and sent to those who follow it. Nothing is kept in
 * memory for a slow follower: it skips ahead and reads what it missed from the spool.
 */
export class OutputFeed {
  readonly #spools: Spools;
  readonly #subscribers = new Map<string, Set<OutputSubscriber>>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #announced = new Map<string, number>();

  constructor(spools: Spools) {
    this.#spools = spools;
  }

  follow(source: string, subscriber: OutputSubscriber): () => void {
    const followers = this.#subscribers.get(source) ?? new Set();
    followers.add(subscriber);
    this.#subscribers.set(source, followers);
    return () => {
      followers.delete(subscriber);
      if (followers.size === 0 && this.#subscribers.get(source) === followers) this.#subscribers.delete(source);
    };
  }

  grew(source: string, stream: StreamName, length: number): void {
    const key = `${source}.${stream}`;
    let offset = this.#announced.get(key) ?? 0;
    this.#announced.set(key, length);
    this.#wake(source);
    const followers = this.#subscribers.get(source);
    if (!followers) return;
    while (offset < length) {
      const ready = [...followers].filter(follower => follower.ready());
      if (ready.length === 0) return;
      const { bytes } = this.#spools.read(source, stream, offset, Math.min(PIECE, length - offset));
      if (bytes.length === 0) return;
      const event: OutputEvent = { topic: 'output', source, stream, offset, data: bytes.toString('base64') };
      for (const follower of ready) follower.send(event);
      offset += bytes.length;
    }
  }

  /** Resolves when the source's output has grown or ended since this was called, or the signal aborts. */
  moved(source: string, signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const waiting = this.#waiting.get(source) ?? new Set();
      this.#waiting.set(source, waiting);
      const go = () => {
        waiting.delete(go);
        if (waiting.size === 0 && this.#waiting.get(source) === waiting) this.#waiting.delete(source);
        signal.removeEventListener('abort', go);
        resolve();
      };
      waiting.add(go);
      if (signal.aborted) go();
      else signal.addEventListener('abort', go, { once: true });
    });
  }

  #wake(source: string): void {
    for (const go of [...(this.#waiting.get(source) ?? [])]) go();
  }

  /** The process is gone: whoever still follows reads the rest from the spool. */
  ended(source: string): void {
    this.#announced.delete(`${source}.stdout`);
    this.#announced.delete(`${source}.stderr`);
    this.#wake(source);
  }
}

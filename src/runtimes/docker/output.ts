import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { StreamName } from '../../protocol/events.ts';
import type { ProcessExit, ProcessSpec } from '../runtime.ts';
import { Frames } from './frames.ts';
import { Spool } from './spool.ts';

const reportMs = 5;
/** Left by processes that outlive a command and hold on to its output. */
const lingerMs = 150;

/** A process's output on its way from the daemon into the spools: read no faster than the disk takes it. */
export class Output {
  readonly #spools: Record<StreamName, Spool> | undefined;
  readonly #terminal: boolean;
  readonly #listener: (stream: StreamName, length: number) => void;
  #drained: Promise<void> = Promise.resolve();
  #stream: Duplex | undefined;
  #reporting: NodeJS.Timeout | undefined;
  #told: Record<StreamName, number> = { stdout: 0, stderr: 0 };

  constructor(
    spool: ProcessSpec['spool'] | undefined,
    options: { readonly terminal: boolean; readonly again: boolean },
    listener: (stream: StreamName, length: number) => void,
  ) {
    this.#terminal = options.terminal;
    this.#listener = listener;
    this.#spools = spool && {
      stdout: new Spool(spool.stdout, spool.cap, options),
      stderr: new Spool(spool.stderr, spool.cap, options),
    };
  }

  /** Resolves when nothing more comes; undefined while nothing was attached. */
  get drained(): Promise<void> | undefined {
    return this.#stream && this.#drained.catch(() => undefined);
  }

  drain(stream: Duplex): void {
    this.#stream = stream;
    // A connection that breaks has nothing more to say; what came is kept.
    stream.on('error', () => stream.destroy());
    this.#drained = this.#drain(stream);
    this.#drained.catch(() => undefined);
  }

  /** One piece after the other: writes to one file must not overtake each other. */
  async #drain(stream: Duplex): Promise<void> {
    const spools = this.#spools;
    let pieces: [StreamName, Buffer][] = [];
    const frames = new Frames((name, bytes) => pieces.push([name, bytes]));
    try {
      for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
        if (this.#terminal) pieces.push(['stdout', chunk as Buffer]);
        else frames.write(chunk as Buffer);
        const arrived = pieces;
        pieces = [];
        if (spools) for (const [name, bytes] of arrived) await spools[name].append(bytes);
        this.#reportSoon();
      }
    } catch (error) {
      // Broken off, by us or by the daemon: whether the process has ended is asked elsewhere.
      if (!stream.destroyed) throw error;
    }
  }

  /** The process ended: waits for what is still on its way, and answers what is in the spools. */
  async finish(): Promise<ProcessExit['output']> {
    let done = false;
    const drained = this.#drained.then(() => {
      done = true;
    });
    for (let before = -1; !done && before !== this.#received; ) {
      before = this.#received;
      await Promise.race([drained, pause(lingerMs, undefined, { ref: false })]);
    }
    this.#stream?.destroy();
    await drained;
    clearTimeout(this.#reporting);
    this.#report();
    return this.close();
  }

  close(): ProcessExit['output'] {
    const empty = { bytes: 0, capped: false };
    if (!this.#spools) return { stdout: empty, stderr: empty };
    return { stdout: this.#spools.stdout.close(), stderr: this.#spools.stderr.close() };
  }

  get #received(): number {
    return (this.#spools?.stdout.received ?? 0) + (this.#spools?.stderr.received ?? 0);
  }

  #reportSoon(): void {
    this.#reporting ??= setTimeout(() => this.#report(), reportMs);
  }

  #report(): void {
    this.#reporting = undefined;
    for (const name of ['stdout', 'stderr'] as const) {
      const length = this.#spools?.[name].length ?? 0;
      if (length === this.#told[name]) continue;
      this.#told[name] = length;
      this.#listener(name, length);
    }
  }
}

import type { LogPosition } from './jobs/jobs.ts';
import type { Link } from './link.ts';
import { OperationRef } from './operationRef.ts';
import { Lines } from './streamReader.ts';

export interface LogOptions {
  /** Goes on until the command ends; else what is there so far. Default: false. */
  readonly follow?: boolean;
  /** Begins with the last so many lines of each stream. Default: all. */
  readonly tail?: number;
}

/** What a sandbox's own command writes, line by line, both streams as they come. Each iteration starts anew. */
export class LogReader implements Iterable<string>, AsyncIterable<string> {
  readonly #link: Link;
  readonly #sandbox: string;
  readonly #process: string;
  readonly #options: LogOptions;

  /** @internal Made by `sandbox.streamLogs`. */
  constructor(link: Link, sandboxId: string, processId: string, options: LogOptions) {
    this.#link = link;
    this.#sandbox = sandboxId;
    this.#process = processId;
    this.#options = options;
  }

  *[Symbol.iterator](): Iterator<string, undefined> {
    const lines = { stdout: new Lines(), stderr: new Lines() };
    for (let at = this.#start(); ; ) {
      const next = this.#next(at).get();
      yield* lines.stdout.push(next.stdout);
      yield* lines.stderr.push(next.stderr);
      at = next.at;
      if (next.eof) break;
    }
    yield* lines.stdout.end();
    yield* lines.stderr.end();
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<string, undefined> {
    const lines = { stdout: new Lines(), stderr: new Lines() };
    for (let at = this.#start(); ; ) {
      const next = await this.#next(at);
      yield* lines.stdout.push(next.stdout);
      yield* lines.stderr.push(next.stderr);
      at = next.at;
      if (next.eof) break;
    }
    yield* lines.stdout.end();
    yield* lines.stderr.end();
    return undefined;
  }

  #start(): LogPosition {
    return this.#options.tail === undefined ? { stdout: 0, stderr: 0 } : { tail: this.#options.tail };
  }

  #next(at: LogPosition) {
    const about = { link: this.#link, what: 'streamLogs', sandboxId: this.#sandbox };
    const params = { process: this.#process, at, follow: this.#options.follow ?? false };
    return OperationRef.job(about, 'logs', params, result => result);
  }
}

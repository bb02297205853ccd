import { appendFileSync, renameSync, statSync } from 'node:fs';

const MAX_BYTES = 5_000_000;

/** The engine's log file, one line an entry; the one before is kept as `.1`. */
export class Log {
  readonly #file: string;
  #size: number;

  constructor(file: string) {
    this.#file = file;
    this.#size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }

  info(message: string): void {
    this.#write('info', message);
  }

  error(message: string, error?: unknown): void {
    this.#write(
      'error',
      error === undefined
        ? message
        : `${message}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }

  #write(level: string, message: string): void {
    const line = `${new Date().toISOString()} ${level} ${message.trimEnd().replaceAll('\n', '\n  ')}\n`;
    try {
      if (this.#size > MAX_BYTES) {
        renameSync(this.#file, `${this.#file}.1`);
        this.#size = 0;
      }
      appendFileSync(this.#file, line, { mode: 0o600 });
      this.#size += line.length;
    } catch (error) {
      // A full disk must not take the engine down with it; stderr is the last place left.
      process.stderr.write(`${line}(log: ${error instanceof Error ? error.message : error})\n`);
    }
  }
}

import { cut } from './table.ts';
import type { Channel } from './terminal.ts';

/** Lines at the bottom of a terminal that are drawn over and over; nothing where nobody watches. */
export class LiveLines {
  readonly #channel: Channel;
  #drawn = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  show(lines: readonly string[]): void {
    if (!this.#channel.isTerminal) return;
    const room = Math.max(1, this.#channel.height - 2);
    const shown = lines.length > room ? [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`] : lines;
    const text = shown.map(line => `${cut(line, this.#channel.width - 1)}\n`).join('');
    this.#channel.write(`${this.#up()}\x1b[J${text}`);
    this.#drawn = shown.length;
  }

  clear(): void {
    if (this.#drawn > 0) this.#channel.write(`${this.#up()}\x1b[J`);
    this.#drawn = 0;
  }

  #up(): string {
    return this.#drawn > 0 ? `\x1b[${this.#drawn}A\r` : '';
  }
}

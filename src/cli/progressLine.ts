import type { Progress } from '../protocol/rpc.ts';
import { humanSize, oneLine } from '../verbs/wording.ts';
import type { Channel } from './terminal.ts';

const BAR = 24;
const INTERVAL_MS = 80;

/** What is going on, in one line that is written over; nothing where nobody watches. */
export class ProgressLine {
  readonly #channel: Channel;
  #shownAt = 0;
  #shown = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  readonly show = (progress: Omit<Progress, 'progress'>): void => {
    if (!this.#channel.isTerminal || Date.now() - this.#shownAt < INTERVAL_MS) return;
    this.#shownAt = Date.now();
    this.#shown = true;
    const text = progressText(progress, this.#channel.width - 1);
    this.#channel.write(`\r\x1b[K${this.#channel.style('dim', text)}`);
  };

  clear(): void {
    if (this.#shown) this.#channel.write('\r\x1b[K');
    this.#shown = false;
  }
}

export function progressText({ message, done, total }: Omit<Progress, 'progress'>, width: number): string {
  if (done === undefined) return oneLine(message, width);
  if (total === undefined || total <= 0) return oneLine(`${message} ${humanSize(done)}`, width);
  const part = Math.min(1, Math.max(0, done / total));
  const full = Math.round(part * BAR);
  const bar = '█'.repeat(full) + '░'.repeat(BAR - full);
  const lead = `${bar} ${String(Math.floor(part * 100)).padStart(3)}%  `;
  return lead + oneLine(message, Math.max(0, width - lead.length));
}

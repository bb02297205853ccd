import type { MetricChoice } from '../../../webview/protocol.ts';

/** More than a plot shows; what a longer run prints is thinned evenly, its last, smallest and largest stay exact. */
const MOST_POINTS = 4096;

/** The numbers that one run printed. */
export class MetricSeries {
  #count = 0;
  #stride = 1;
  #last = Number.NaN;
  #min = Number.NaN;
  #max = Number.NaN;
  #points: (readonly [number, number])[] = [];

  get count(): number {
    return this.#count;
  }

  add(values: readonly number[]): void {
    for (const value of values) {
      this.#count++;
      this.#last = value;
      if (!(this.#min <= value)) this.#min = value;
      if (!(this.#max >= value)) this.#max = value;
      if ((this.#count - 1) % this.#stride !== 0) continue;
      this.#points.push([this.#count, value]);
      if (this.#points.length >= MOST_POINTS) this.#thin();
    }
  }

  #thin(): void {
    this.#stride *= 2;
    this.#points = this.#points.filter((_, index) => index % 2 === 0);
  }

  value(take: MetricChoice['take']): number | null {
    if (this.#count === 0) return null;
    return { last: this.#last, min: this.#min, max: this.#max }[take];
  }

  /** Position from 1 and value, at most so many, the last among them. */
  points(most = MOST_POINTS): (readonly [number, number])[] {
    const every = Math.max(1, Math.ceil(this.#points.length / most));
    const points = this.#points.filter((_, index) => index % every === 0);
    if (this.#count > 0 && points.at(-1)![0] !== this.#count) points.push([this.#count, this.#last]);
    return points;
  }
}

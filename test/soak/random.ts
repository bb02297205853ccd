/** A stream of random choices that can be had again by its seed. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed;
  }

  /** From COPPICE_SOAK_SEED, else new; printed, so that a failure can be seen again. */
  static announced(): Random {
    const seed = Number(process.env.COPPICE_SOAK_SEED ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`COPPICE_SOAK_SEED=${seed}`);
    return new Random(seed);
  }

  /** mulberry32 */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

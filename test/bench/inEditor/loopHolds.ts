/** How long each turn of this event loop holds everything else up, without keeping the loop awake. */
export class LoopHolds implements Disposable {
  #last = performance.eventLoopUtilization().active;
  #longest = 0;
  #immediate: NodeJS.Immediate | undefined;

  constructor() {
    this.#watch();
  }

  get longestMs(): number {
    this.#note();
    return this.#longest;
  }

  /** What is not referenced runs once a turn, whenever the loop turns for somebody else. */
  #watch(): void {
    this.#immediate = setImmediate(() => {
      this.#note();
      this.#watch();
    }).unref();
  }

  /** `active` leaves out the waiting. */
  #note(): void {
    const { active } = performance.eventLoopUtilization();
    this.#longest = Math.max(this.#longest, active - this.#last);
    this.#last = active;
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#immediate);
  }
}

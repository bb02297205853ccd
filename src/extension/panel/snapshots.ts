/**
 * Sends complete snapshots no faster than the page draws them: one on its way at a time, the next when it was drawn and
 * a frame has passed, with everything that changed meanwhile in it.
 */
const LEAST_PAUSE_MS = 50;
/** What a thousand rows cost to tell must not be spent ten times a second. */
const PAUSE_PER_ROW_MS = 0.4;
/** A page that was reloaded in between never answers. */
const PATIENCE_MS = 2_000;

export class Snapshots {
  readonly #send: (sequence: number) => number;
  #sequence = 0;
  #wanted = false;
  #outstanding: number | undefined;
  #sentAt = 0;
  #pause = LEAST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  #open = false;

  /** `send` makes and posts one; its answer is how many rows were in it. */
  constructor(send: (sequence: number) => number) {
    this.#send = send;
  }

  /** The page is there and has nothing. */
  open(): void {
    this.#open = true;
    this.#outstanding = undefined;
    this.#sentAt = 0;
    this.changed();
  }

  changed(): void {
    this.#wanted = true;
    this.#plan();
  }

  drawn(sequence: number): void {
    if (sequence !== this.#outstanding) return;
    this.#outstanding = undefined;
    this.#plan();
  }

  dispose(): void {
    this.#open = false;
    clearTimeout(this.#timer);
  }

  #plan(): void {
    if (!this.#open || !this.#wanted) return;
    clearTimeout(this.#timer);
    const pause = this.#outstanding === undefined ? this.#pause : PATIENCE_MS;
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, this.#sentAt + pause - Date.now()));
  }

  #flush(): void {
    this.#wanted = false;
    this.#sentAt = Date.now();
    this.#outstanding = ++this.#sequence;
    const rows = this.#send(this.#sequence);
    this.#pause = Math.max(LEAST_PAUSE_MS, rows * PAUSE_PER_ROW_MS);
  }
}

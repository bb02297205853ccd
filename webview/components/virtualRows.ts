import { element } from '../dom.ts';

const SPARE = 6;

/** Rows of one height of which only those in sight exist; an element is used again for another row as it scrolls. */
export class VirtualRows {
  readonly #viewport: HTMLElement;
  readonly #sizer = element('div', { class: 'rows', role: 'presentation' });
  readonly #height: number;
  readonly #make: () => HTMLElement;
  readonly #fill: (row: HTMLElement, index: number) => void;
  #pool: HTMLElement[] = [];
  /** Which row each element of the pool shows. */
  #shown: number[] = [];
  #count = 0;
  #frame = 0;

  constructor(
    viewport: HTMLElement,
    height: number,
    make: () => HTMLElement,
    fill: (row: HTMLElement, index: number) => void,
  ) {
    this.#viewport = viewport;
    this.#height = height;
    this.#make = make;
    this.#fill = fill;
    viewport.append(this.#sizer);
    viewport.addEventListener('scroll', () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#soon()).observe(viewport);
  }

  get count(): number {
    return this.#count;
  }

  /** Draws all in sight anew; where one looks stays where it is. */
  show(count: number): void {
    this.#count = count;
    const height = `${count * this.#height}px`;
    if (this.#sizer.style.height !== height) this.#sizer.style.height = height;
    this.#shown.fill(-1);
    this.#draw();
  }

  /** Rows whose words depend on the time. */
  refresh(): void {
    this.#shown.fill(-1);
    this.#draw();
  }

  reveal(index: number, top = 0): void {
    const { scrollTop, clientHeight } = this.#viewport;
    const start = index * this.#height;
    if (start < scrollTop) this.#viewport.scrollTop = start;
    else if (start + this.#height + top > scrollTop + clientHeight)
      this.#viewport.scrollTop = start + this.#height + top - clientHeight;
    this.#draw();
  }

  get pageSize(): number {
    return Math.max(1, Math.floor(this.#viewport.clientHeight / this.#height) - 1);
  }

  #soon(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw(): void {
    const { scrollTop, clientHeight } = this.#viewport;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - SPARE);
    const last = Math.min(this.#count, Math.ceil((scrollTop + clientHeight) / this.#height) + SPARE);
    this.#grow(Math.min(this.#count, Math.ceil(clientHeight / this.#height) + 2 * SPARE + 1));
    const size = this.#pool.length;
    for (let index = first; index < last; index++) {
      const slot = index % size;
      if (this.#shown[slot] === index) continue;
      const row = this.#pool[slot]!;
      this.#shown[slot] = index;
      row.style.transform = `translateY(${index * this.#height}px)`;
      row.hidden = false;
      this.#fill(row, index);
    }
    for (const [slot, index] of this.#shown.entries()) {
      if (index >= first && index < last) continue;
      this.#shown[slot] = -1;
      this.#pool[slot]!.hidden = true;
    }
  }

  #grow(size: number): void {
    if (size <= this.#pool.length) return;
    // Rows change places in a larger pool.
    this.#shown = Array<number>(size).fill(-1);
    while (this.#pool.length < size) {
      const row = this.#make();
      row.hidden = true;
      this.#pool.push(row);
      this.#sizer.append(row);
    }
  }
}

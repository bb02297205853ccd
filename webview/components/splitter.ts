import { element, setAttributes } from '../dom.ts';

const [LEAST, MOST] = [20, 80];
const STEP = 5;

/** The border between table and details: dragged, or moved by the arrow keys. */
export class Splitter {
  readonly element = element('div', {
    class: 'splitter',
    role: 'separator',
    tabindex: 0,
    'aria-orientation': 'vertical',
    'aria-label': 'Width of the table',
    'aria-valuemin': LEAST,
    'aria-valuemax': MOST,
  });
  #place = 50;

  constructor(moved: (percent: number) => void) {
    const move = (percent: number) => moved(Math.max(LEAST, Math.min(MOST, Math.round(percent))));
    this.element.addEventListener('pointerdown', event => this.element.setPointerCapture(event.pointerId));
    this.element.addEventListener('pointermove', event => {
      if (!this.element.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.element.parentElement!.getBoundingClientRect();
      move(((event.clientX - left) / width) * 100);
    });
    this.element.addEventListener('keydown', event => {
      const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (step === undefined) return;
      move(this.#place + step);
      event.preventDefault();
    });
  }

  place(percent: number): void {
    this.#place = percent;
    setAttributes(this.element, { 'aria-valuenow': percent });
    this.element.parentElement?.style.setProperty('--left', `${percent}fr`);
    this.element.parentElement?.style.setProperty('--right', `${100 - percent}fr`);
  }
}

import { element, setAttributes, setText } from '../dom.ts';
import type { OutputView, Row } from '../protocol.ts';
import { type Line, sideBySide } from '../sideBySide.ts';
import { VirtualRows } from './virtualRows.ts';

const LINE_HEIGHT = 18;
/** Outputs beside each other; where the others differ from the first, it is marked. */
export class Outputs {
  readonly element: HTMLElement;
  readonly #titles = element('div', { class: 'output-titles' });
  readonly #viewport = element('div', { class: 'output-lines', tabindex: 0, role: 'region', 'aria-label': 'Output' });
  readonly #empty = element('div', { class: 'empty' });
  readonly #rows: VirtualRows;
  #lines: readonly (readonly Line[])[] = [];
  #different: readonly number[] = [];
  #told = '';
  /** So many characters are scrolled past, in every column. */
  #shift = 0;

  constructor() {
    this.element = element('div', { class: 'outputs' }, this.#titles, this.#empty, this.#viewport);
    this.#rows = new VirtualRows(
      this.#viewport,
      LINE_HEIGHT,
      () => element('div', { class: 'output-row' }),
      (row, index) => this.#fill(row, this.#lines[index]!),
    );
    this.#viewport.addEventListener(
      'wheel',
      event => {
        if (event.deltaX !== 0) this.#moveAcross(Math.sign(event.deltaX) * 2);
      },
      { passive: true },
    );
    this.#viewport.addEventListener('keydown', event => {
      const across = { ArrowRight: 8, ArrowLeft: -8 }[event.key];
      if (event.key === 'F7') this.next(event.shiftKey ? -1 : 1);
      else if (across) this.#moveAcross(across);
      else return;
      event.preventDefault();
    });
  }

  show(outputs: readonly OutputView[], rows: readonly Row[]): void {
    const told = JSON.stringify(outputs);
    if (told === this.#told) return;
    this.#told = told;
    const atEnd =
      this.#viewport.scrollTop + this.#viewport.clientHeight >= this.#rows.count * LINE_HEIGHT - LINE_HEIGHT;
    this.#lines = sideBySide(outputs.map(({ text }) => linesOf(text)));
    this.#different = this.#lines.flatMap((line, index) =>
      isDifferent(line) && !isDifferent(this.#lines[index - 1] ?? []) ? [index] : [],
    );
    this.element.style.setProperty('--outputs', String(Math.max(1, outputs.length)));
    this.#titles.replaceChildren(...outputs.map(output => this.#title(output, rows)));
    const nothing = this.#lines.length === 0;
    setText(
      this.#empty,
      outputs.length === 0
        ? 'Select one run to read its output, or several to compare them.'
        : nothing
          ? 'Nothing was written.'
          : '',
    );
    this.#rows.show(this.#lines.length);
    // A single output is followed, as in a terminal.
    if (outputs.length === 1 && atEnd) this.#rows.reveal(this.#lines.length - 1);
  }

  /** To the next place where they differ; -1: to the one before. */
  next(direction: 1 | -1): void {
    const at = Math.round(this.#viewport.scrollTop / LINE_HEIGHT);
    const found =
      direction > 0 ? this.#different.find(index => index > at) : this.#different.findLast(index => index < at);
    if (found !== undefined) this.#viewport.scrollTop = found * LINE_HEIGHT;
  }

  get differences(): number {
    return this.#different.length;
  }

  #moveAcross(characters: number): void {
    this.#shift = Math.max(0, this.#shift + characters);
    this.element.style.setProperty('--shift', String(this.#shift));
  }

  #title({ id, cut }: OutputView, rows: readonly Row[]): HTMLElement {
    const row = rows.find(other => other.id === id);
    const words = row ? `#${row.number}  ${row.labels.join('  ')}` : id;
    return element(
      'div',
      { class: 'output-title', title: row?.title },
      words,
      cut ? element('span', { class: 'hint' }, '  the beginning is left out') : null,
    );
  }

  #fill(target: HTMLElement, line: readonly Line[]): void {
    while (target.childElementCount > line.length) target.lastElementChild!.remove();
    while (target.childElementCount < line.length) {
      target.append(
        element(
          'div',
          { class: 'output-cell' },
          element('span', { class: 'line-number' }),
          element('span', { class: 'line-mark' }),
          element('span', { class: 'line-text' }),
        ),
      );
    }
    for (const [index, { number, text, mark }] of line.entries()) {
      const cell = target.children[index]!;
      setAttributes(cell, { 'data-mark': mark, title: text.length > 60 ? text : null });
      setText(cell.children[0]!, number === 0 ? '' : String(number));
      setText(cell.children[1]!, { same: '', changed: '~', added: '+', missing: '' }[mark]);
      setText(cell.children[2]!, text);
    }
  }
}

const isDifferent = (line: readonly Line[]): boolean => line.some(({ mark }) => mark !== 'same');

function linesOf(text: string): string[] {
  const lines = text.split(/\r\n|\n/);
  if (lines.at(-1) === '') lines.pop();
  // A line that was written over shows what was written last.
  return lines.map(line => line.slice(line.replace(/\r+$/, '').lastIndexOf('\r') + 1));
}

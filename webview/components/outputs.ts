import { diffArrays } from 'diff';
import { element, setAttributes, setText } from '../dom.ts';
import type { OutputView, Row } from '../protocol.ts';
import { VirtualRows } from './virtualRows.ts';

const LINE_HEIGHT = 18;
/** Texts that have nothing in common would be compared forever. */
const MOST_EDITS = 4_000;

type Mark = 'same' | 'changed' | 'added' | 'missing';

interface Line {
  readonly number: number;
  readonly text: string;
  readonly mark: Mark;
}

const NOTHING: Line = { number: 0, text: '', mark: 'missing' };

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

  constructor() {
    this.element = element('div', { class: 'outputs' }, this.#titles, this.#empty, this.#viewport);
    this.#rows = new VirtualRows(
      this.#viewport,
      LINE_HEIGHT,
      () => element('div', { class: 'output-row' }),
      (row, index) => this.#fill(row, this.#lines[index]!),
    );
    this.#viewport.addEventListener('keydown', event => {
      if (event.key !== 'F7') return;
      this.next(event.shiftKey ? -1 : 1);
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

/** What the others have before and at each line of the first. */
interface Aligned {
  readonly before: readonly (readonly Line[])[];
  readonly at: readonly Line[];
}

export function sideBySide(texts: readonly (readonly string[])[]): Line[][] {
  const [first = [], ...others] = texts;
  const aligned = others.map(other => align(first, other));
  const rows: Line[][] = [];
  for (let index = 0; index <= first.length; index++) {
    const inserted = aligned.map(({ before }) => before[index]!);
    const most = Math.max(0, ...inserted.map(lines => lines.length));
    for (let extra = 0; extra < most; extra++) rows.push([NOTHING, ...inserted.map(lines => lines[extra] ?? NOTHING)]);
    if (index === first.length) break;
    const matches = aligned.map(({ at }) => at[index]!);
    const mark = matches.every(line => line.mark === 'same') ? 'same' : 'changed';
    rows.push([{ number: index + 1, text: first[index]!, mark }, ...matches]);
  }
  return rows;
}

function align(first: readonly string[], other: readonly string[]): Aligned {
  const before: Line[][] = Array.from({ length: first.length + 1 }, () => []);
  const at: Line[] = first.map(() => NOTHING);
  let [here, there] = [0, 0];
  let removed = 0;
  const changes = diffArrays([...first], [...other], { maxEditLength: MOST_EDITS }) ?? [
    { value: [...first], removed: true, added: false, count: first.length },
    { value: [...other], added: true, removed: false, count: other.length },
  ];
  for (const change of changes) {
    for (const text of change.value) {
      if (change.removed) {
        here++;
        removed++;
        continue;
      }
      there++;
      // A line that replaces another stands beside it.
      if (!change.added) at[here++] = { number: there, text, mark: 'same' };
      else if (removed > 0) at[here - removed--] = { number: there, text, mark: 'changed' };
      else before[here]!.push({ number: there, text, mark: 'added' });
    }
    if (!change.removed) removed = 0;
  }
  return { before, at };
}

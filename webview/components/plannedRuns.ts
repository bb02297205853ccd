import { element, setAttributes, setText } from '../dom.ts';
import { counted } from '../format.ts';
import type { Preview } from '../protocol.ts';
import { VirtualRows } from './virtualRows.ts';

const ROW_HEIGHT = 22;

/** The exact runs that a set-up makes. */
export class PlannedRuns {
  readonly element: HTMLElement;
  readonly #title = element('div', { class: 'planned-title', role: 'status' });
  readonly #notes = element('div', { class: 'hint' });
  readonly #viewport = element('div', {
    class: 'planned-rows',
    role: 'list',
    tabindex: 0,
    'aria-label': 'Planned runs',
  });
  readonly #rows: VirtualRows;
  #preview: Preview | undefined;

  constructor() {
    this.element = element(
      'section',
      { class: 'planned', 'aria-label': 'Preview' },
      this.#title,
      this.#notes,
      this.#viewport,
    );
    this.#rows = new VirtualRows(
      this.#viewport,
      ROW_HEIGHT,
      () =>
        element(
          'div',
          { class: 'planned-row', role: 'listitem' },
          element('span', { class: 'number' }),
          element('code'),
        ),
      (row, index) => this.#fill(row, index),
    );
  }

  show(preview: Preview): void {
    this.#preview = preview;
    const { runs, problems, notes } = preview;
    setText(
      this.#title,
      problems.length > 0 && runs.length === 0 ? 'No runs yet' : `${counted(runs.length, 'run')}, exactly these`,
    );
    setText(this.#notes, notes.join(' '));
    this.#rows.show(runs.length);
  }

  #fill(row: HTMLElement, index: number): void {
    const { command, env } = this.#preview!.runs[index]!;
    const variables = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)} `);
    setText(row.children[0]!, String(index + 1));
    setText(row.children[1]!, `${variables.join('')}${command}`);
    setAttributes(row, {
      title: `${variables.join('')}${command}`,
      'aria-setsize': this.#rows.count,
      'aria-posinset': index + 1,
    });
  }
}

const quoted = (value: string): string =>
  /^[\w@%+=:,./-]*$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;

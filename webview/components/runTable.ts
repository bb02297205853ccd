import waitingIcon from '@vscode/codicons/src/icons/circle-large.svg';
import cancelledIcon from '@vscode/codicons/src/icons/circle-slash.svg';
import failedIcon from '@vscode/codicons/src/icons/error.svg';
import runningIcon from '@vscode/codicons/src/icons/loading.svg';
import passedIcon from '@vscode/codicons/src/icons/pass-filled.svg';
import bestIcon from '@vscode/codicons/src/icons/star-full.svg';
import { element, freshId, icon, setAttributes, setText } from '../dom.ts';
import { duration, metricText } from '../format.ts';
import type { PageState, Row, RunStatus } from '../protocol.ts';
import { VirtualRows } from './virtualRows.ts';

const ROW_HEIGHT = 24;

export const statusWords: Readonly<Record<RunStatus, string>> = {
  PENDING: 'waiting',
  EXECUTING: 'running',
  SUCCESS: 'done',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
};
const statusIcons: Readonly<Record<RunStatus, string>> = {
  PENDING: waitingIcon,
  EXECUTING: runningIcon,
  SUCCESS: passedIcon,
  FAILED: failedIcon,
  CANCELLED: cancelledIcon,
};

interface Column {
  readonly key: string;
  readonly title: string;
  readonly width: string;
  readonly right?: boolean;
  readonly text: (row: Row) => string;
}

export interface TableData {
  readonly columns: readonly string[];
  /** Sorted and filtered. */
  readonly rows: readonly Row[];
  readonly metricName: string;
  readonly hasMetric: boolean;
  readonly best: string | null;
  readonly sort: PageState['sort'];
  readonly selected: ReadonlySet<string>;
  readonly current: string | null;
  /** The host's clock. */
  readonly now: () => number;
}

export interface TableActions {
  select(selected: ReadonlySet<string>, current: string | null): void;
  sort(by: string): void;
  /** Enter, or a double click. */
  open(row: Row): void;
  hover(id: string | null): void;
}

/** The runs, live: focus stays on the grid and scrolling where it is, whatever changes. */
export class RunTable {
  readonly element: HTMLElement;
  readonly #head = element('div', { class: 'table-head', role: 'row' });
  readonly #viewport = element('div', { class: 'table-body', role: 'rowgroup' });
  readonly #rows: VirtualRows;
  readonly #actions: TableActions;
  readonly #prefix = freshId('run');
  #columns: readonly Column[] = [];
  #shape = '';
  #data: TableData | undefined;
  #anchor: string | null = null;

  constructor(actions: TableActions) {
    this.#actions = actions;
    this.element = element(
      'div',
      { class: 'table', role: 'grid', tabindex: 0, 'aria-label': 'Runs', 'aria-multiselectable': 'true' },
      this.#head,
      this.#viewport,
    );
    this.#rows = new VirtualRows(
      this.#viewport,
      ROW_HEIGHT,
      () => this.#makeRow(),
      (row, index) => this.#fillRow(row, index),
    );
    this.element.addEventListener('keydown', event => this.#key(event));
    this.#viewport.addEventListener('click', event => this.#click(event));
    this.#viewport.addEventListener('dblclick', event => this.#withRow(event, row => this.#actions.open(row)));
    this.#viewport.addEventListener('mouseover', event => this.#actions.hover(this.#rowAt(event)?.id ?? null));
    this.#viewport.addEventListener('mouseleave', () => this.#actions.hover(null));
    this.#viewport.addEventListener('scroll', () => {
      this.#head.scrollLeft = this.#viewport.scrollLeft;
    });
  }

  show(data: TableData): void {
    this.#data = data;
    this.#setColumns(data);
    setAttributes(this.element, { 'aria-rowcount': data.rows.length + 1, 'aria-colcount': this.#columns.length });
    this.#rows.show(data.rows.length);
    this.#tellCurrent();
  }

  tick(): void {
    if (this.#data?.rows.some(({ status }) => status === 'EXECUTING')) this.#rows.refresh();
  }

  reveal(id: string): void {
    const index = this.#data?.rows.findIndex(row => row.id === id) ?? -1;
    if (index >= 0) this.#rows.reveal(index);
  }

  focus(): void {
    this.element.focus();
  }

  #setColumns(data: TableData): void {
    const labels = data.columns.map((title, index): Column => {
      const longest = Math.max(title.length + 2, ...data.rows.slice(0, 200).map(row => row.labels[index]?.length ?? 0));
      const right = data.rows.every(row => Number.isFinite(Number(row.labels[index] || '0')));
      return {
        key: `label.${index}`,
        title,
        width: `${Math.min(28, longest + 2)}ch`,
        right,
        text: row => row.labels[index] ?? '',
      };
    });
    const metric: Column = {
      key: 'metric',
      title: data.metricName,
      width: '13ch',
      right: true,
      text: row => (row.metric === null ? '' : metricText(row.metric)),
    };
    this.#columns = [
      { key: 'status', title: '', width: '32px', text: () => '' },
      { key: 'number', title: '#', width: '5ch', right: true, text: row => String(row.number) },
      ...labels,
      ...(data.hasMetric ? [metric] : []),
      { key: 'time', title: 'Time', width: '9ch', right: true, text: row => this.#time(row) },
      { key: 'outcome', title: 'Exit', width: '11ch', text: row => exitWords(row) },
      ...(labels.length === 0
        ? [{ key: 'title', title: 'Command', width: '32ch', text: (row: Row) => row.title }]
        : []),
      { key: 'last', title: 'Last line', width: 'minmax(18ch, 1fr)', text: row => row.lastLine },
    ];
    this.#drawHead(data.sort);
  }

  #drawHead(sort: PageState['sort']): void {
    const shape = JSON.stringify([
      this.#columns.map(({ key, title, width, right }) => [key, title, width, right]),
      sort,
    ]);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.element.style.setProperty('--columns', this.#columns.map(({ width }) => width).join(' '));
    // Whoever pressed a heading stays on it.
    const focused = document.activeElement?.getAttribute('data-sort');
    this.#head.replaceChildren(
      ...this.#columns.map(({ key, title, right }) => {
        const sorted = sort.by === key;
        const name = title || 'State';
        const button = element(
          'button',
          { class: 'sort', tabindex: -1, 'data-sort': key, title: `Sort by ${name}` },
          element('span', { class: title ? '' : 'unseen' }, name),
          sorted ? (sort.down ? ' ↓' : ' ↑') : '',
        );
        button.addEventListener('click', () => this.#actions.sort(key));
        return element(
          'div',
          {
            role: 'columnheader',
            class: right ? 'right' : '',
            'aria-sort': sorted ? (sort.down ? 'descending' : 'ascending') : 'none',
          },
          button,
        );
      }),
    );
    if (focused) this.#head.querySelector<HTMLElement>(`[data-sort="${CSS.escape(focused)}"]`)?.focus();
  }

  #makeRow(): HTMLElement {
    return element('div', { class: 'run', role: 'row' });
  }

  #fillRow(target: HTMLElement, index: number): void {
    const data = this.#data!;
    const row = data.rows[index]!;
    const selected = data.selected.has(row.id);
    const best = row.id === data.best;
    setAttributes(target, {
      id: `${this.#prefix}-${index}`,
      'data-id': row.id,
      'data-status': row.status,
      'data-best': best,
      'data-current': row.id === data.current,
      'aria-selected': String(selected),
      'aria-rowindex': index + 2,
      title: row.title,
    });
    while (target.childElementCount > this.#columns.length) target.lastElementChild!.remove();
    while (target.childElementCount < this.#columns.length) target.append(element('div', { role: 'gridcell' }));
    for (const [at, column] of this.#columns.entries()) {
      const cell = target.children[at]!;
      setAttributes(cell, { class: `cell of-${column.key.split('.')[0]}${column.right ? ' right' : ''}` });
      if (column.key === 'status') fillStatus(cell, row);
      else if (column.key === 'metric') fillMetric(cell, column.text(row), best);
      else setText(cell, column.text(row));
    }
  }

  #time(row: Row): string {
    if (row.started === null) return '';
    return duration((row.finished ?? this.#data!.now()) - row.started);
  }

  #tellCurrent(): void {
    const { rows, current } = this.#data!;
    const index = rows.findIndex(row => row.id === current);
    setAttributes(this.element, { 'aria-activedescendant': index < 0 ? null : `${this.#prefix}-${index}` });
  }

  #rowAt(event: Event): Row | undefined {
    const id = (event.target as Element).closest('.run')?.getAttribute('data-id');
    return this.#data?.rows.find(row => row.id === id);
  }

  #withRow(event: Event, work: (row: Row) => void): void {
    const row = this.#rowAt(event);
    if (row) work(row);
  }

  #click(event: MouseEvent): void {
    this.#withRow(event, row => {
      if (event.shiftKey) this.#extend(row.id);
      else if (event.ctrlKey || event.metaKey) this.#toggle(row.id);
      else this.#only(row.id);
    });
  }

  #only(id: string): void {
    this.#anchor = id;
    this.#actions.select(new Set([id]), id);
  }

  #toggle(id: string): void {
    const selected = new Set(this.#data!.selected);
    if (!selected.delete(id)) selected.add(id);
    this.#anchor = id;
    this.#actions.select(selected, id);
  }

  #extend(id: string): void {
    const { rows, current } = this.#data!;
    const place = (wanted: string | null) => rows.findIndex(row => row.id === wanted);
    const from = Math.max(0, place(this.#anchor ?? current));
    const to = place(id);
    const ids = rows.slice(Math.min(from, to), Math.max(from, to) + 1).map(row => row.id);
    this.#actions.select(new Set(ids), id);
  }

  #key(event: KeyboardEvent): void {
    if (event.target !== this.element || !this.#data) return;
    const { rows, current } = this.#data;
    const at = rows.findIndex(row => row.id === current);
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? 0 : at - 1,
      PageDown: at + this.#rows.pageSize,
      PageUp: at - this.#rows.pageSize,
      Home: 0,
      End: rows.length - 1,
    };
    const step = steps[event.key];
    if (step !== undefined && rows.length > 0) this.#moveTo(Math.max(0, Math.min(rows.length - 1, step)), event);
    else if (event.key === ' ' && current) this.#toggle(current);
    else if (event.key === 'Enter' && at >= 0) this.#actions.open(rows[at]!);
    else if (event.key === 'a' && (event.ctrlKey || event.metaKey))
      this.#actions.select(new Set(rows.map(row => row.id)), current);
    else if (event.key === 'Escape') this.#actions.select(new Set(), current);
    else return;
    event.preventDefault();
  }

  #moveTo(index: number, event: KeyboardEvent): void {
    const { id } = this.#data!.rows[index]!;
    this.#rows.reveal(index);
    if (event.shiftKey) this.#extend(id);
    else if (event.ctrlKey || event.metaKey) this.#actions.select(this.#data!.selected, id);
    else this.#only(id);
  }
}

function exitWords(row: Row): string {
  const attempt = row.attempts > 1 ? ` ↻${row.attempts}` : '';
  return (row.outcome || (row.status === 'PENDING' ? 'waiting' : 'running')) + attempt;
}

function fillStatus(cell: Element, { status }: Row): void {
  if (cell.getAttribute('data-status') === status) return;
  cell.setAttribute('data-status', status);
  cell.setAttribute('aria-label', statusWords[status]);
  cell.replaceChildren(icon(statusIcons[status], `status-${status}`));
}

function fillMetric(cell: Element, text: string, best: boolean): void {
  const told = `${text}${best ? '*' : ''}`;
  if (cell.getAttribute('data-told') === told) return;
  cell.setAttribute('data-told', told);
  cell.replaceChildren(...(best ? [icon(bestIcon, 'best'), element('span', { class: 'unseen' }, 'best ')] : []), text);
}

import stopIcon from '@vscode/codicons/src/icons/debug-stop.svg';
import retryIcon from '@vscode/codicons/src/icons/refresh.svg';
import { element, setAttributes, setText } from '../dom.ts';
import { clock, counted } from '../format.ts';
import type { GroupChoice, RunStatus, Snapshot, Subject } from '../protocol.ts';
import { Button, Dropdown } from './controls.ts';
import { statusWords } from './runTable.ts';

const ORDER: readonly RunStatus[] = ['SUCCESS', 'FAILED', 'CANCELLED', 'EXECUTING', 'PENDING'];
const NONE = '(none)';
const RECENT = '(recent)';
const CHOSEN = '(chosen)';

export interface HeaderActions {
  mode(mode: 'setup' | 'runs'): void;
  open(subject: Subject): void;
  cancelAll(): void;
  retryFailed(): void;
}

/** Which runs these are and how far they got. */
export class Header {
  readonly element: HTMLElement;
  readonly #tabs: Readonly<Record<'setup' | 'runs', HTMLElement>>;
  readonly #subject: Dropdown;
  readonly #progress = element('div', { class: 'progress', role: 'img' });
  readonly #counts = element('div', { class: 'counts', role: 'status' });
  readonly #cancel: Button;
  readonly #retry: Button;
  readonly #engine = element('div', { class: 'engine', role: 'alert' });
  #subjects = new Map<string, Subject>();

  constructor(actions: HeaderActions) {
    const tab = (mode: 'setup' | 'runs', label: string) => {
      const button = element(
        'button',
        { class: 'mode', role: 'tab', id: `mode-${mode}`, 'aria-controls': 'body' },
        label,
      );
      button.addEventListener('click', () => actions.mode(mode));
      button.addEventListener('keydown', event => {
        if (!/^Arrow(Left|Right)$/.test(event.key)) return;
        actions.mode(mode === 'setup' ? 'runs' : 'setup');
        this.#tabs[mode === 'setup' ? 'runs' : 'setup'].focus();
      });
      return button;
    };
    this.#tabs = { setup: tab('setup', 'Set-up'), runs: tab('runs', 'Runs') };
    this.#subject = new Dropdown(
      'Shown runs',
      [],
      value => actions.open(this.#subjects.get(value) ?? { kind: 'none' }),
      true,
    );
    this.#cancel = new Button('Cancel All', () => actions.cancelAll(), { icon: stopIcon });
    this.#retry = new Button('Retry Failed', () => actions.retryFailed(), { icon: retryIcon });
    this.element = element(
      'header',
      {},
      element(
        'div',
        { class: 'modes', role: 'tablist', 'aria-label': 'Parallel Runs' },
        this.#tabs.setup,
        this.#tabs.runs,
      ),
      element('div', { class: 'subject' }, this.#subject.element),
      element('div', { class: 'state' }, this.#progress, this.#counts),
      this.#retry.element,
      this.#cancel.element,
      this.#engine,
    );
  }

  set mode(mode: 'setup' | 'runs') {
    for (const [name, tab] of Object.entries(this.#tabs)) {
      setAttributes(tab, { 'aria-selected': String(name === mode), tabindex: name === mode ? 0 : -1 });
    }
  }

  show({ subject, groups, rows, engine }: Snapshot): void {
    this.#showSubject(subject, groups, rows.length);
    const counts = new Map<RunStatus, number>();
    for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1);
    this.#showProgress(counts, rows.length);
    this.#cancel.disabled = (counts.get('EXECUTING') ?? 0) + (counts.get('PENDING') ?? 0) === 0;
    this.#retry.disabled = (counts.get('FAILED') ?? 0) === 0;
    const said = {
      connected: '',
      idle: subject.kind === 'none' ? '' : 'The engine is not connected.',
      connecting: 'Connecting to the engine…',
      failed: engine.words,
    };
    setText(this.#engine, said[engine.kind]);
  }

  #showProgress(counts: ReadonlyMap<RunStatus, number>, all: number): void {
    const parts = ORDER.filter(status => counts.get(status));
    const words = parts.map(status => `${counts.get(status)} ${statusWords[status]}`).join(' · ');
    setText(this.#counts, all === 0 ? '' : words);
    setAttributes(this.#progress, { 'aria-label': words, 'data-empty': all === 0 });
    for (const status of ORDER) {
      let part = this.#progress.querySelector<HTMLElement>(`.status-${status}`);
      if (!part) {
        part = element('div', { class: `part status-${status}` });
        this.#progress.append(part);
      }
      part.style.flexGrow = String(counts.get(status) ?? 0);
    }
  }

  #showSubject(subject: Subject, groups: readonly GroupChoice[], count: number): void {
    this.#subjects = new Map<string, Subject>([
      ...groups.map(({ id }): [string, Subject] => [id, { kind: 'group', id }]),
      [RECENT, { kind: 'recent' }],
    ]);
    const choices = groups.map(({ id, title, started }) => ({ value: id, label: `${clock(started)}  ${title}` }));
    const value = this.#valueOf(subject);
    if (value === NONE) choices.unshift({ value: NONE, label: 'No runs chosen' });
    if (!this.#subjects.has(value) && value !== NONE) {
      this.#subjects.set(value, subject);
      choices.unshift({
        value,
        label: subject.kind === 'group' ? `Group ${subject.id}` : counted(count, 'chosen run'),
      });
    }
    this.#subject.choices = [...choices, { value: RECENT, label: 'All recent runs' }];
    this.#subject.value = value;
  }

  #valueOf(subject: Subject): string {
    return (
      { none: NONE, recent: RECENT, operations: CHOSEN, group: '' }[subject.kind] || (subject as { id: string }).id
    );
  }
}

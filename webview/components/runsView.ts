import downIcon from '@vscode/codicons/src/icons/arrow-down.svg';
import upIcon from '@vscode/codicons/src/icons/arrow-up.svg';
import cancelIcon from '@vscode/codicons/src/icons/debug-stop.svg';
import exportIcon from '@vscode/codicons/src/icons/export.svg';
import headIcon from '@vscode/codicons/src/icons/git-branch.svg';
import outputIcon from '@vscode/codicons/src/icons/output.svg';
import retryIcon from '@vscode/codicons/src/icons/refresh.svg';
import { element, setAttributes, setText } from '../dom.ts';
import { counted } from '../format.ts';
import { pngBase64, svgText } from '../picture.ts';
import { PRINTED, plotLook } from '../plotLook.ts';
import type {
  ChangedFiles,
  Outputs as OutputsMessage,
  PageMessage,
  PageState,
  PlotChoice,
  Row,
  Snapshot,
  View,
} from '../protocol.ts';
import { tableOrder } from '../tableOrder.ts';
import { Button, Checkbox, Dropdown, TextField } from './controls.ts';
import { Files } from './files.ts';
import { MetricBar, metricName } from './metricBar.ts';
import { Outputs } from './outputs.ts';
import { Plot } from './plot.ts';
import { RunTable } from './runTable.ts';
import { Splitter } from './splitter.ts';
import { Timeline } from './timeline.ts';

const MOST_SERIES = 24;
const MOST_OUTPUTS = 6;
const TABS = { plot: 'Plot', output: 'Output', files: 'Files' } as const;
type Tab = keyof typeof TABS;

export type RunsState = Pick<
  PageState,
  'tab' | 'selected' | 'current' | 'sort' | 'filter' | 'state' | 'plot' | 'stream' | 'split'
>;

export interface RunsViewActions {
  send(message: PageMessage): void;
  /** Something that survives a reload was changed. */
  keep(state: RunsState): void;
}

/** The table and what is beside it: plot and timeline, outputs, files. */
export class RunsView {
  readonly element: HTMLElement;
  readonly #split: Splitter;
  readonly #actions: RunsViewActions;
  readonly #metric: MetricBar;
  readonly #table: RunTable;
  readonly #plot: Plot;
  readonly #timeline: Timeline;
  readonly #outputs = new Outputs();
  readonly #files: Files;
  readonly #filter: TextField;
  readonly #stateFilter: Dropdown;
  readonly #x: Dropdown;
  readonly #color: Dropdown;
  readonly #log: Readonly<Record<'logX' | 'logY', Checkbox>>;
  readonly #stream: Dropdown;
  readonly #tabs: Readonly<Record<Tab, HTMLElement>>;
  readonly #panels: Readonly<Record<Tab, HTMLElement>>;
  readonly #selectionWords = element('span', { class: 'selection', role: 'status' });
  readonly #buttons: Readonly<Record<'output' | 'head' | 'retry' | 'cancel', Button>>;
  readonly #differences: readonly Button[];
  #state: RunsState;
  #snapshot: Snapshot | undefined;
  #filesShown: ChangedFiles | undefined;
  #outputsShown: OutputsMessage | undefined;
  #view = '';
  /** The host's clock less ours. */
  #clock = 0;

  constructor(state: RunsState, actions: RunsViewActions) {
    this.#state = state;
    this.#actions = actions;
    this.#metric = new MetricBar(metric => actions.send({ type: 'metric', metric }));
    this.#table = new RunTable({
      select: (selected, current) => this.#change({ selected: [...selected], current }),
      sort: by => this.#change({ sort: { by, down: this.#state.sort.by === by && !this.#state.sort.down } }),
      open: row => actions.send({ type: 'openOutput', id: row.id }),
      hover: id => this.#plot.hover(id),
    });
    const choose = (id: string) => {
      this.#change({ selected: [id], current: id });
      this.#table.reveal(id);
    };
    this.#plot = new Plot(choose);
    this.#timeline = new Timeline(choose);
    this.#files = new Files({
      open: path => this.#withCurrent(({ id }) => actions.send({ type: 'openFile', id, path })),
      download: paths => actions.send({ type: 'download', ids: this.#chosen().map(({ id }) => id), paths }),
      cancelDownload: download => actions.send({ type: 'cancelDownload', download }),
    });
    this.#filter = new TextField({ label: 'Filter runs', placeholder: 'Filter', labelHidden: true, size: 14 }, () =>
      this.#change({ filter: this.#filter.value }),
    );
    this.#stateFilter = new Dropdown(
      'Show states',
      [
        { value: '', label: 'all states' },
        { value: 'EXECUTING', label: 'running' },
        { value: 'PENDING', label: 'waiting' },
        { value: 'SUCCESS', label: 'done' },
        { value: 'FAILED', label: 'failed' },
        { value: 'CANCELLED', label: 'cancelled' },
      ],
      state => this.#change({ state }),
      true,
    );
    this.#buttons = {
      output: new Button('Open output', () => this.#withCurrent(({ id }) => actions.send({ type: 'openOutput', id })), {
        icon: outputIcon,
        look: 'icon',
      }),
      head: new Button(
        'Make it a branch’s head',
        () => this.#withCurrent(({ id }) => actions.send({ type: 'makeHead', id })),
        { icon: headIcon, look: 'icon' },
      ),
      retry: new Button(
        'Run again',
        () =>
          actions.send({
            type: 'retry',
            ids: this.#chosen()
              .filter(({ finished }) => finished !== null)
              .map(({ id }) => id),
          }),
        { icon: retryIcon, look: 'icon' },
      ),
      cancel: new Button(
        'Cancel',
        () =>
          actions.send({
            type: 'cancel',
            ids: this.#chosen()
              .filter(({ finished }) => finished === null)
              .map(({ id }) => id),
          }),
        { icon: cancelIcon, look: 'icon' },
      ),
    };
    const setPlot = (change: Partial<PlotChoice>) => this.#change({ plot: { ...this.#state.plot, ...change } });
    this.#x = new Dropdown('x', [], x => setPlot({ x }));
    this.#color = new Dropdown('Colour', [], color => setPlot({ color }));
    this.#log = {
      logX: new Checkbox('log x', logX => setPlot({ logX })),
      logY: new Checkbox('log y', logY => setPlot({ logY })),
    };
    this.#stream = new Dropdown(
      'Stream',
      [
        { value: 'stdout', label: 'stdout' },
        { value: 'stderr', label: 'stderr' },
      ],
      stream => this.#change({ stream: stream as RunsState['stream'] }),
      true,
    );
    this.#differences = [
      new Button('Previous difference (Shift+F7)', () => this.#outputs.next(-1), { icon: upIcon, look: 'icon' }),
      new Button('Next difference (F7)', () => this.#outputs.next(1), { icon: downIcon, look: 'icon' }),
    ];
    this.#panels = { plot: this.#plotPanel(), output: this.#outputPanel(), files: this.#filesPanel() };
    this.#tabs = Object.fromEntries(Object.keys(TABS).map(tab => [tab, this.#tab(tab as Tab)])) as Record<
      Tab,
      HTMLElement
    >;
    this.#split = new Splitter(split => this.#change({ split }));
    this.element = this.#layout();
    this.#filter.value = state.filter;
    this.#stateFilter.value = state.state;
    this.#stream.value = state.stream;
    this.#showTab();
  }

  show(snapshot: Snapshot): void {
    this.#clock = snapshot.now - Date.now();
    this.#snapshot = snapshot;
    this.#draw();
  }

  showOutputs(message: OutputsMessage): void {
    this.#outputsShown = message;
    this.#outputs.show(message.outputs, this.#snapshot?.rows ?? []);
    for (const button of this.#differences) button.disabled = this.#outputs.differences === 0;
  }

  showFiles(message: ChangedFiles): void {
    this.#filesShown = message;
    this.#draw();
  }

  /** Once a second: what counts the time. */
  tick(): void {
    if (!this.#snapshot || this.element.hidden) return;
    this.#table.tick();
    if (this.#tabIs('plot') && this.#snapshot.rows.some(({ status }) => status === 'EXECUTING'))
      this.#drawTimeline(this.#snapshot);
  }

  focus(): void {
    this.#table.focus();
  }

  #layout(): HTMLElement {
    const left = element(
      'section',
      { class: 'left', 'aria-label': 'Runs' },
      this.#metric.element,
      element(
        'div',
        { class: 'table-bar', role: 'toolbar', 'aria-label': 'Selected runs' },
        this.#filter.element,
        this.#stateFilter.element,
        this.#selectionWords,
        ...Object.values(this.#buttons).map(button => button.element),
        new Button('Export runs as CSV', () => this.#actions.send({ type: 'exportCsv', what: 'runs' }), {
          icon: exportIcon,
          look: 'icon',
        }).element,
      ),
      this.#table.element,
    );
    const right = element(
      'section',
      { class: 'right', 'aria-label': 'Details' },
      element('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Details' }, ...Object.values(this.#tabs)),
      ...Object.values(this.#panels),
    );
    return element('div', { class: 'runs' }, left, this.#split.element, right);
  }

  #plotPanel(): HTMLElement {
    const picture = (format: 'svg' | 'png') => async () => {
      const data =
        format === 'svg'
          ? svgText(this.#plot.picture, this.#plot.legend)
          : await pngBase64(this.#plot.picture, this.#plot.legend);
      this.#actions.send({ type: 'exportPicture', format, data });
    };
    const csv = () =>
      this.#actions.send({ type: 'exportCsv', what: this.#state.plot.x === PRINTED ? 'series' : 'runs' });
    return element(
      'div',
      { class: 'panel' },
      element(
        'div',
        { class: 'plot-bar' },
        this.#x.element,
        this.#color.element,
        this.#log.logX.element,
        this.#log.logY.element,
      ),
      element(
        'div',
        { class: 'plot-bar' },
        this.#plot.legend,
        new Button('SVG', picture('svg'), { icon: exportIcon, title: 'Export the plot as SVG' }).element,
        new Button('PNG', picture('png'), { title: 'Export the plot as PNG' }).element,
        new Button('CSV', csv, { title: 'Export what is plotted as CSV' }).element,
      ),
      this.#plot.element,
      element('h2', {}, 'Timeline'),
      this.#timeline.element,
    );
  }

  #outputPanel(): HTMLElement {
    return element(
      'div',
      { class: 'panel' },
      element(
        'div',
        { class: 'plot-bar' },
        this.#stream.element,
        element('span', { class: 'spring' }),
        ...this.#differences.map(button => button.element),
      ),
      this.#outputs.element,
    );
  }

  #filesPanel(): HTMLElement {
    return element('div', { class: 'panel' }, this.#files.element);
  }

  #tab(tab: Tab): HTMLElement {
    setAttributes(this.#panels[tab], { role: 'tabpanel', id: `panel-${tab}`, 'aria-labelledby': `tab-${tab}` });
    const button = element(
      'button',
      { class: 'tab', role: 'tab', id: `tab-${tab}`, 'aria-controls': `panel-${tab}` },
      TABS[tab],
    );
    button.addEventListener('click', () => this.#change({ tab }));
    button.addEventListener('keydown', event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const names = Object.keys(TABS) as Tab[];
      const next = names[(names.indexOf(tab) + step + names.length) % names.length]!;
      this.#change({ tab: next });
      this.#tabs[next].focus();
    });
    return button;
  }

  #tabIs(tab: Tab): boolean {
    return (this.#state.tab in TABS ? this.#state.tab : 'plot') === tab;
  }

  #showTab(): void {
    for (const tab of Object.keys(TABS) as Tab[]) {
      const shown = this.#tabIs(tab);
      setAttributes(this.#tabs[tab], { 'aria-selected': String(shown), tabindex: shown ? 0 : -1 });
      this.#panels[tab].hidden = !shown;
    }
    this.#split.place(this.#state.split ?? (this.#tabIs('output') ? 40 : 55));
  }

  #change(change: Partial<RunsState>): void {
    this.#state = { ...this.#state, ...change };
    this.#actions.keep(this.#state);
    if (change.tab !== undefined || change.split !== undefined) this.#showTab();
    this.#draw();
  }

  #chosen(): Row[] {
    const selected = new Set(this.#state.selected);
    return this.#snapshot?.rows.filter(({ id }) => selected.has(id)) ?? [];
  }

  /** The run whose files are shown: the one that was touched last, of those that are selected. */
  #currentRow(): Row | undefined {
    const chosen = this.#chosen();
    return chosen.find(({ id }) => id === this.#state.current) ?? chosen.at(-1);
  }

  #withCurrent(work: (row: Row) => void): void {
    const row = this.#currentRow();
    if (row) work(row);
  }

  #draw(): void {
    const snapshot = this.#snapshot;
    if (!snapshot) return;
    this.#followRetries(snapshot);
    const name = metricName(snapshot.metric.choice);
    const selected = new Set(this.#state.selected);
    const rows = tableOrder(snapshot.rows, this.#state);
    this.#metric.show(snapshot.metric);
    this.#table.show({
      columns: snapshot.columns,
      rows,
      metricName: name,
      hasMetric: snapshot.metric.choice.pattern !== '',
      best: snapshot.best,
      sort: this.#state.sort,
      selected,
      current: this.#state.current,
      now: () => Date.now() + this.#clock,
    });
    this.#offer(rows.length, snapshot.rows.length);
    if (this.#tabIs('plot')) {
      this.#drawPlot(snapshot, rows, name, selected);
      this.#drawTimeline(snapshot);
    }
    if (this.#tabIs('output') && this.#state.selected.length === 0) this.#outputs.show([], []);
    if (this.#tabIs('output') && this.#outputsShown) this.#outputs.show(this.#outputsShown.outputs, snapshot.rows);
    this.#files.showDownloads(snapshot.downloads);
    if (this.#tabIs('files')) this.#files.show(this.#currentRow(), this.#filesShown, this.#chosen().length);
    this.#tellView(snapshot, rows);
  }

  /** A run that was run again has another id in the same place. */
  #followRetries(snapshot: Snapshot): void {
    const known = new Set(snapshot.rows.map(({ id }) => id));
    const before = this.#numbers;
    this.#numbers = new Map(snapshot.rows.map(({ id, number }) => [id, number]));
    if (this.#state.selected.every(id => known.has(id))) return;
    const byNumber = new Map(snapshot.rows.map(({ id, number }) => [number, id]));
    const now = (id: string) => (known.has(id) ? id : byNumber.get(before.get(id) ?? -1));
    const selected = this.#state.selected.map(now).filter(id => id !== undefined);
    const current = this.#state.current === null ? null : (now(this.#state.current) ?? null);
    if (snapshot.rows.length === 0) return;
    this.#state = { ...this.#state, selected, current };
    this.#actions.keep(this.#state);
  }
  #numbers: ReadonlyMap<string, number> = new Map();

  #drawPlot(snapshot: Snapshot, rows: readonly Row[], name: string, selected: ReadonlySet<string>): void {
    const choice = plotLook(this.#state.plot, snapshot);
    const axes = [
      ...snapshot.columns.map(column => ({ value: column, label: column })),
      { value: 'run', label: 'run' },
    ];
    this.#x.choices = [...axes, { value: PRINTED, label: 'every printed value' }];
    this.#color.choices = [{ value: '', label: 'none' }, ...axes.slice(0, -1)];
    this.#x.value = choice.x;
    this.#color.value = choice.color;
    this.#log.logX.checked = choice.logX;
    this.#log.logY.checked = choice.logY;
    this.#plot.show({
      columns: snapshot.columns,
      rows,
      series: snapshot.series,
      metricName: name,
      choice,
      best: snapshot.best,
      selected,
    });
  }

  #drawTimeline(snapshot: Snapshot): void {
    this.#timeline.show({
      rows: snapshot.rows,
      selected: new Set(this.#state.selected),
      best: snapshot.best,
      now: Date.now() + this.#clock,
    });
  }

  #offer(shown: number, all: number): void {
    const chosen = this.#chosen();
    const filtered = shown < all ? `${shown} of ${all} shown` : '';
    setText(
      this.#selectionWords,
      [filtered, chosen.length > 0 ? `${counted(chosen.length, 'run')} selected` : ''].filter(Boolean).join(', '),
    );
    this.#buttons.output.disabled = chosen.length === 0;
    this.#buttons.head.disabled = this.#currentRow()?.kept !== true;
    this.#buttons.retry.disabled = !chosen.some(({ finished }) => finished !== null) || !this.#snapshot!.trusted;
    this.#buttons.cancel.disabled = !chosen.some(({ finished }) => finished === null);
  }

  /** The host sends what is in sight: nothing is read for a tab that nobody looks at. */
  #tellView(snapshot: Snapshot, rows: readonly Row[]): void {
    const choice = plotLook(this.#state.plot, snapshot);
    const chosen = this.#state.selected.filter(id => rows.some(row => row.id === id));
    // Several that are selected, else the best, with the one that is selected among them.
    const best = chosen.length > 1 ? [] : bestFirst(rows, snapshot).map(({ id }) => id);
    const plotted = [...new Set([...chosen, ...best])];
    const current = this.#currentRow();
    const view: View = {
      series: this.#tabIs('plot') && choice.x === PRINTED ? plotted.slice(0, MOST_SERIES) : [],
      outputs: this.#tabIs('output') ? this.#state.selected.slice(0, MOST_OUTPUTS) : [],
      stream: this.#state.stream,
      files: this.#tabIs('files') && current && current.finished !== null ? current.id : null,
    };
    const told = JSON.stringify(view);
    if (told === this.#view) return;
    this.#view = told;
    this.#actions.send({ type: 'view', view });
  }
}

function bestFirst(rows: readonly Row[], { metric }: Snapshot): Row[] {
  const sign = metric.choice.best === 'min' ? 1 : -1;
  return rows.filter(row => row.metric !== null).toSorted((a, b) => sign * (a.metric! - b.metric!));
}

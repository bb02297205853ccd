import { Header } from './components/header.ts';
import { type RunsState, RunsView } from './components/runsView.ts';
import { SetupForm } from './components/setupForm.ts';
import { element } from './dom.ts';
import type { HostMessage, PageMessage, PageState, Setup, Snapshot } from './protocol.ts';

/** The panel's page. It shows what the host says, keeps what survives a reload, and asks; it decides nothing. */

const PREVIEW_AFTER_MS = 120;
/** For developer tools and test/soak: when the first runs were there to be seen. */
const FIRST_ROWS = 'coppice.firstRows';

const emptySetup: Setup = {
  commands: '',
  parameters: [],
  image: '',
  directoryState: 'current',
  keep: true,
  concurrency: 4,
  timeout: 0,
  cpus: null,
  memory: '',
  pids: null,
  network: 'nat',
  metric: { pattern: '', group: '', take: 'last', best: 'min' },
};

const fresh: PageState = {
  subject: { kind: 'none' },
  mode: 'setup',
  draft: emptySetup,
  tab: 'plot',
  selected: [],
  current: null,
  sort: { by: 'number', down: false },
  filter: '',
  state: '',
  plot: { x: '', color: '?', logX: null, logY: null },
  stream: 'stdout',
  split: null,
};

class Page {
  readonly #host = acquireVsCodeApi();
  readonly #header: Header;
  readonly #setup: SetupForm;
  readonly #runs: RunsView;
  #state: PageState;
  #previewTimer = 0;
  #snapshot: Snapshot | undefined;
  #frame = 0;
  #drawn = false;

  constructor(root: HTMLElement) {
    const kept = this.#host.getState() as Partial<PageState> | undefined;
    this.#state = { ...fresh, ...kept };
    this.#header = new Header({
      mode: mode => this.#setMode(mode),
      open: subject => {
        this.#keep({ selected: [], current: null, filter: '', state: '' });
        this.#send({ type: 'open', subject });
        this.#setMode('runs');
      },
      cancelAll: () => this.#send({ type: 'cancel', ids: this.#idsOf(['PENDING', 'EXECUTING']) }),
      retryFailed: () => this.#send({ type: 'retry', ids: this.#idsOf(['FAILED']) }),
    });
    this.#setup = new SetupForm({
      changed: setup => this.#draftChanged(setup),
      start: setup => this.#send({ type: 'start', setup }),
      save: setup => this.#send({ type: 'saveSetup', setup }),
      load: () => this.#send({ type: 'loadSetup' }),
      pickImage: () => this.#send({ type: 'pickImage' }),
    });
    this.#runs = new RunsView(this.#state, {
      send: message => {
        // What is found to be the metric is the metric of the next runs too.
        if (message.type === 'metric') this.#setup.metric = message.metric;
        this.#send(message);
      },
      keep: (state: RunsState) => this.#keep(state),
    });
    root.append(
      this.#header.element,
      element('div', { id: 'body', role: 'tabpanel' }, this.#setup.element, this.#runs.element),
    );
    this.#setup.setup = this.#state.draft;
    this.#setMode(this.#state.mode);
    window.addEventListener('message', event => this.#receive(event.data as HostMessage));
    setInterval(() => this.#runs.tick(), 1000);
    this.#send({ type: 'ready', subject: kept?.subject ?? null });
  }

  #receive(message: HostMessage): void {
    switch (message.type) {
      case 'snapshot':
        this.#snapshot = message;
        this.#frame ||= requestAnimationFrame(() => this.#draw());
        break;
      case 'preview':
        this.#setup.show(message);
        break;
      case 'outputs':
        this.#runs.showOutputs(message);
        break;
      case 'files':
        this.#runs.showFiles(message);
        break;
      case 'setup':
        this.#setup.setup = message.setup;
        this.#setMode('setup');
        this.#setup.focus();
        break;
      case 'image':
        this.#setup.image = message.image;
        break;
      case 'started':
        this.#setup.started(message.problem);
        if (message.problem === null) this.#startedRuns();
        break;
    }
  }

  #draw(): void {
    this.#frame = 0;
    const snapshot = this.#snapshot!;
    if (JSON.stringify(snapshot.subject) !== JSON.stringify(this.#state.subject)) {
      this.#keep({ subject: snapshot.subject });
      // Opened by a deep link or just started: there is something to look at.
      if (snapshot.subject.kind !== 'none') this.#setMode('runs');
    }
    this.#setup.trusted = snapshot.trusted;
    this.#header.show(snapshot);
    this.#runs.show(snapshot);
    if (snapshot.rows.length > 0 && !this.#drawn) performance.mark(FIRST_ROWS);
    this.#drawn ||= snapshot.rows.length > 0;
    this.#send({ type: 'drawn', sequence: snapshot.sequence });
  }

  #startedRuns(): void {
    this.#keep({ selected: [], current: null, filter: '', state: '' });
    this.#setMode('runs');
    this.#runs.focus();
  }

  #draftChanged(draft: Setup): void {
    this.#keep({ draft });
    clearTimeout(this.#previewTimer);
    this.#previewTimer = window.setTimeout(() => this.#send({ type: 'preview', setup: draft }), PREVIEW_AFTER_MS);
  }

  #setMode(mode: PageState['mode']): void {
    this.#header.mode = mode;
    this.#setup.element.hidden = mode !== 'setup';
    this.#runs.element.hidden = mode !== 'runs';
    document.getElementById('body')?.setAttribute('aria-labelledby', `mode-${mode}`);
    this.#keep({ mode });
  }

  #idsOf(statuses: readonly string[]): string[] {
    return this.#snapshot?.rows.filter(({ status }) => statuses.includes(status)).map(({ id }) => id) ?? [];
  }

  #keep(change: Partial<PageState>): void {
    this.#state = { ...this.#state, ...change };
    this.#host.setState(this.#state);
  }

  #send(message: PageMessage): void {
    this.#host.postMessage(message);
  }
}

new Page(document.getElementById('page')!);

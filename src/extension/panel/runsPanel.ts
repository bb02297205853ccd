import * as vscode from 'vscode';
import type {
  HostMessage,
  MetricChoice,
  PageMessage,
  Setup,
  Snapshot,
  Subject,
  View,
} from '../../../webview/protocol.ts';
import type { EngineEvent } from '../../protocol/events.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import { Disposable } from '../disposable.ts';
import { outputUri } from '../documents/outputDocuments.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { operationGroup, sentence } from '../views/labels.ts';
import { Artifacts } from './artifacts.ts';
import { expandMatrix } from './expandMatrix.ts';
import { exportFile } from './exportFile.ts';
import { Unreadable } from './fields.ts';
import type { GroupStore } from './groupStore.ts';
import { makeHead } from './makeHead.ts';
import { runsCsv, seriesCsv } from './metricCsv.ts';
import { outputsOf } from './outputs.ts';
import { pageHtml } from './pageHtml.ts';
import { pickImage } from './pickImage.ts';
import { readMessage } from './readMessage.ts';
import { patternView, RunMetrics } from './runMetrics.ts';
import { RunSet } from './runSet.ts';
import { loadSetup, saveSetup } from './setupDialogs.ts';
import { Snapshots } from './snapshots.ts';
import type { StartRuns } from './startRuns.ts';

const MOST_POINTS_SHOWN = 400;
const OUTPUTS_AFTER_MS = 500;
const NOTHING_SHOWN: View = { series: [], outputs: [], stream: 'stdout', files: null };

export interface PanelParts {
  readonly connection: EngineConnection;
  readonly log: vscode.LogOutputChannel;
  readonly extension: vscode.Uri;
  readonly groups: GroupStore;
  readonly starts: StartRuns;
}

/** One panel: its page, the runs it shows, and what the page may ask for. */
export class RunsPanel extends Disposable {
  readonly #parts: PanelParts;
  readonly #panel: vscode.WebviewPanel;
  readonly #metrics: RunMetrics;
  readonly #runs: RunSet;
  readonly #artifacts: Artifacts;
  readonly #snapshots: Snapshots;
  #view: View = NOTHING_SHOWN;
  #metric: MetricChoice | undefined;
  /** Asked for before the page was there. */
  #pending: HostMessage[] = [];
  #ready = false;
  #subjectGiven = false;
  readonly #restored: boolean;
  #outputsTimer: NodeJS.Timeout | undefined;
  #filesShown: string | undefined;

  /** `restored`: VS Code brings it back after a reload. */
  constructor(panel: vscode.WebviewPanel, parts: PanelParts, restored: boolean) {
    super();
    this.#restored = restored;
    const { connection, extension } = parts;
    this.#parts = parts;
    this.#panel = panel;
    const changed = () => this.#snapshots.changed();
    this.#metrics = new RunMetrics(connection, changed);
    this.#runs = new RunSet(connection, this.#metrics);
    this.#artifacts = new Artifacts(connection, changed);
    this.#snapshots = new Snapshots(sequence => this.#sendSnapshot(sequence));
    this._register(this.#metrics);
    this._register(this.#snapshots);
    this._register(this.#artifacts);
    this._register(connection.watch());
    this._register(connection.onEvent(event => this.#take(event)));
    this._register(connection.onDidChangeState(({ kind }) => (kind === 'connected' ? void this.#load() : changed())));
    this._register(vscode.workspace.onDidGrantWorkspaceTrust(changed));
    this._register({ dispose: () => clearTimeout(this.#outputsTimer) });
    panel.onDidDispose(() => this.dispose(), undefined);
    panel.webview.options = { enableScripts: true, localResourceRoots: [vscode.Uri.joinPath(extension, 'dist')] };
    panel.iconPath = new vscode.ThemeIcon('run-all');
    this._register(panel.webview.onDidReceiveMessage((message: unknown) => this.#receive(message)));
    this._register(panel.onDidChangeViewState(() => panel.visible || this.#hidden()));
    panel.webview.html = pageHtml(panel.webview, extension);
  }

  reveal(): void {
    this.#panel.reveal();
  }

  /** Shows these runs, whatever the page showed before. */
  async show(subject: Subject): Promise<void> {
    this.#subjectGiven = true;
    await this.#open(subject);
  }

  offer(setup: Setup): void {
    this.#post({ type: 'setup', setup });
  }

  /** A hidden page is thrown away by VS Code; the next one says that it is ready. */
  #hidden(): void {
    this.#ready = false;
    this.#snapshots.dispose();
  }

  async #receive(given: unknown): Promise<void> {
    try {
      await this.#do(readMessage(given));
    } catch (error) {
      if (error instanceof Unreadable) this.#parts.log.warn(`a message of the panel was dropped: ${error.message}`);
      else this.#fail(error);
    }
  }

  #fail(thrown: unknown): void {
    const { message, fix, code } = thrown as { message?: string; fix?: string; code?: string };
    if (code === 'cancelled' || code === 'engine_died') return; // Chosen by the person; shown as the engine's state.
    this.#parts.log.error(`panel: ${message}`, thrown instanceof Error ? (thrown.stack ?? '') : '');
    void vscode.window.showErrorMessage(
      [message ?? String(thrown), fix]
        .filter(part => part)
        .map(part => sentence(part!))
        .join(' '),
    );
  }

  #do(message: PageMessage): Promise<unknown> | unknown {
    switch (message.type) {
      case 'ready':
        return this.#pageReady(message.subject);
      case 'drawn':
        return this.#snapshots.drawn(message.sequence);
      case 'view':
        return this.#show(message.view);
      case 'open':
        return this.#open(message.subject);
      case 'preview':
        return this.#preview(message.setup);
      case 'start':
        return this.#start(message.setup);
      case 'metric':
        return this.#setMetric(message.metric);
      case 'cancel':
        return this.#each(message.ids, id => this.#parts.connection.call('cancel_operation', { operation_id: id }));
      case 'retry':
        return this.#retry(message.ids);
      case 'openOutput':
        return vscode.commands.executeCommand('vscode.open', outputUri(this.#known(message.id)));
      case 'makeHead':
        return makeHead(this.#parts.connection, this.#known(message.id));
      case 'openFile':
        return this.#artifacts.openFile(this.#known(message.id), message.path);
      case 'download':
        return this.#artifacts.download(this.#rowsOf(message.ids), this.#runs.columns, message.paths);
      case 'cancelDownload':
        return this.#artifacts.cancelDownload(message.download);
      case 'exportCsv':
        return this.#exportCsv(message.what);
      case 'exportPicture':
        return exportFile(
          `metric.${message.format}`,
          Buffer.from(message.data, message.format === 'png' ? 'base64' : 'utf8'),
        );
      case 'pickImage':
        return this.#pickImage();
      case 'saveSetup':
        return saveSetup(message.setup);
      case 'loadSetup':
        return this.#loadSetup();
    }
  }

  async #pageReady(subject: Subject | null): Promise<void> {
    this.#ready = true;
    for (const message of this.#pending.splice(0)) void this.#panel.webview.postMessage(message);
    this.#filesShown = undefined;
    this.#snapshots.open();
    const isFirst = !this.#subjectGiven;
    this.#subjectGiven = true;
    const shown = subject ?? (this.#restored ? await this.#newestGroup() : undefined);
    if (isFirst && shown) await this.#open(shown);
  }

  /** A browser that closed too fast has lost what the page kept; the engine has not. */
  async #newestGroup(): Promise<Subject | undefined> {
    const { operations } = await this.#parts.connection.call('list_operations', { kind: 'run', limit: 100 });
    const group = operations.find(operation => operation.group !== null)?.group;
    return group ? { kind: 'group', id: group } : undefined;
  }

  async #open(subject: Subject): Promise<void> {
    const setup = subject.kind === 'group' ? this.#parts.groups.setup(subject.id) : null;
    this.#runs.show(subject);
    if (setup) this.#metrics.choose(setup.metric);
    else if (this.#metric) this.#metrics.choose(this.#metric);
    this.#snapshots.changed();
    await this.#load();
  }

  /** What the engine has of the subject; asked again whenever events may have been missed. */
  async #load(): Promise<void> {
    if (this.#runs.subject.kind === 'none') return this.#snapshots.changed();
    try {
      await this.#runs.load();
    } finally {
      this.#snapshots.changed();
      this.#askOutputs();
    }
  }

  #take(event: EngineEvent): void {
    if (event.topic === 'lagged') {
      this.#load().catch(error => this.#fail(error));
      return;
    }
    if (!this.#runs.take(event)) return;
    this.#snapshots.changed();
    if (event.topic === 'operation' && this.#view.outputs.includes(event.operation.operation_id)) this.#askOutputs();
  }

  #sendSnapshot(sequence: number): number {
    const { state } = this.#parts.connection;
    const rows = this.#runs.withMetrics();
    const { subject } = this.#runs;
    const snapshot: Snapshot = {
      type: 'snapshot',
      sequence,
      now: Date.now(),
      engine: {
        kind: state.kind,
        words: state.kind === 'failed' ? `${sentence(state.error.message)} ${state.error.fix ?? ''}` : '',
      },
      trusted: vscode.workspace.isTrusted,
      subject,
      groups: this.#parts.groups.choices,
      columns: this.#runs.columns,
      rows,
      setup: subject.kind === 'group' ? this.#parts.groups.setup(subject.id) : null,
      metric: this.#metrics.view(),
      best: bestOf(rows, this.#metrics.choice.best),
      series: this.#view.series.map(id => ({ id, points: this.#metrics.series(id)?.points(MOST_POINTS_SHOWN) ?? [] })),
      downloads: this.#artifacts.downloads,
    };
    this.#post(snapshot);
    return rows.length;
  }

  #post(message: HostMessage): void {
    if (this.#ready) void this.#panel.webview.postMessage(message);
    else if (message.type === 'setup') this.#pending.push(message);
  }

  #show(view: View): void {
    const before = this.#view;
    this.#view = view;
    if (view.series.length > 0 || before.series.length > 0) this.#snapshots.changed();
    if (view.outputs.join() !== before.outputs.join() || view.stream !== before.stream) this.#askOutputs(0);
    if (view.files !== null && view.files !== this.#filesShown) void this.#sendFiles(view.files);
    this.#filesShown = view.files ?? undefined;
  }

  #askOutputs(after = OUTPUTS_AFTER_MS): void {
    if (this.#view.outputs.length === 0) return;
    if (after === 0) {
      clearTimeout(this.#outputsTimer);
      this.#outputsTimer = undefined;
    }
    this.#outputsTimer ??= setTimeout(() => {
      this.#outputsTimer = undefined;
      this.#sendOutputs().catch(error => this.#fail(error));
    }, after);
  }

  async #sendOutputs(): Promise<void> {
    const { outputs, stream } = this.#view;
    const known = outputs.filter(id => this.#runs.operation(id));
    const views = await outputsOf(this.#parts.connection, known, stream);
    if (outputs.join() === this.#view.outputs.join()) this.#post({ type: 'outputs', stream, outputs: views });
  }

  async #sendFiles(id: string): Promise<void> {
    const operation = this.#runs.operation(id);
    if (operation) this.#post(await this.#artifacts.changedFiles(operation));
  }

  #preview(setup: Setup): void {
    this.#post({ type: 'preview', ...expandMatrix(setup), metric: patternView(setup.metric.pattern) });
  }

  async #start(setup: Setup): Promise<void> {
    try {
      const { problems } = expandMatrix(setup);
      if (problems.length > 0) throw new Error(problems[0]!.message);
      this.#metric = setup.metric;
      await this.#parts.starts.start(setup, group => this.#open({ kind: 'group', id: group }));
      this.#post({ type: 'started', problem: null });
    } catch (error) {
      this.#post({ type: 'started', problem: (error as Error).message });
      throw error;
    }
  }

  async #setMetric(metric: MetricChoice): Promise<void> {
    this.#metric = metric;
    this.#metrics.choose(metric);
    const { subject } = this.#runs;
    if (subject.kind === 'group') await this.#parts.groups.setMetric(subject.id, metric);
  }

  async #retry(ids: readonly string[]): Promise<void> {
    this.#parts.starts.mustBeTrusted();
    const ended = ids.filter(id => operationGroup(this.#known(id)) === 'finished');
    await this.#each(ended, async id => {
      const again = await this.#parts.connection.call('run_again', { operation_id: id });
      const { subject } = this.#runs;
      if (subject.kind === 'operations') await this.#open({ ...subject, ids: [...subject.ids, again.operation_id] });
    });
  }

  async #each(ids: readonly string[], work: (id: string) => Promise<unknown>): Promise<void> {
    for (const id of ids) this.#known(id);
    await Promise.all(ids.map(work));
  }

  /** Only runs that the panel shows can be asked for. */
  #known(id: string): OperationView {
    const operation = this.#runs.operation(id);
    if (!operation) throw new Unreadable('id', 'a run of this panel');
    return operation;
  }

  #rowsOf(ids: readonly string[]) {
    const rows = new Map(this.#runs.rows().map(row => [row.id, row]));
    return ids.map(id => ({ operation: this.#known(id), row: rows.get(id)! })).filter(({ row }) => row !== undefined);
  }

  #exportCsv(what: 'runs' | 'series'): Promise<void> {
    const rows = this.#runs.withMetrics();
    const csv =
      what === 'runs'
        ? runsCsv(this.#runs.columns, rows)
        : seriesCsv(this.#runs.columns, rows, id => this.#metrics.series(id));
    return exportFile(`${what}.csv`, Buffer.from(csv));
  }

  async #pickImage(): Promise<void> {
    const image = await pickImage(this.#parts.connection);
    if (image !== undefined) this.#post({ type: 'image', image });
  }

  async #loadSetup(): Promise<void> {
    const setup = await loadSetup();
    if (setup) this.#post({ type: 'setup', setup });
  }
}

function bestOf(
  rows: readonly { readonly id: string; readonly metric: number | null; readonly status: string }[],
  best: 'min' | 'max',
): string | null {
  const sign = best === 'min' ? 1 : -1;
  let found: (typeof rows)[number] | undefined;
  // What failed or still runs may have the better number and no result.
  for (const row of rows) {
    if (row.metric === null || row.status !== 'SUCCESS') continue;
    if (!found || sign * row.metric < sign * found.metric!) found = row;
  }
  return found?.id ?? null;
}

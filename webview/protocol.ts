/**
 * What the panel's page and its host (`src/extension/panel`) say to each other. Types only. The host checks every message
 * of the page; what the host says is complete each time, never a difference to what was said before.
 */

export type RunStatus = 'PENDING' | 'EXECUTING' | 'SUCCESS' | 'FAILED' | 'CANCELLED';

/** One dimension of the matrix. */
export interface Parameter {
  readonly name: string;
  /** As typed: `0.1, 0.01`, `1..10`, `0..1..0.25`, `1e-4..1e-1..x10`. */
  readonly values: string;
  /** `text` replaces `{name}` in the command, `env` sets an environment variable. */
  readonly as: 'text' | 'env';
}

/** Which number of the output counts. */
export interface MetricChoice {
  /** A regular expression, tried on every line of output. Empty: no metric. */
  readonly pattern: string;
  /** Number or name of the group of the pattern that is the number. */
  readonly group: string;
  /** Which of the numbers that a run prints is its own. */
  readonly take: 'last' | 'min' | 'max';
  readonly best: 'min' | 'max';
}

/** Everything that makes a set of runs, as people typed it. */
export interface Setup {
  /** One command a line. */
  readonly commands: string;
  readonly parameters: readonly Parameter[];
  /** An image reference; empty: the head of the checked-out branch, else the default. */
  readonly image: string;
  readonly directoryState: 'current' | 'last' | 'none';
  readonly keep: boolean;
  readonly concurrency: number;
  /** Seconds; 0: none. */
  readonly timeout: number;
  readonly cpus: number | null;
  /** As `512m`; empty: no limit. */
  readonly memory: string;
  readonly pids: number | null;
  readonly network: 'nat' | 'none' | 'host';
  readonly metric: MetricChoice;
}

/** Which runs the panel is about. */
export type Subject =
  | { readonly kind: 'none' }
  | { readonly kind: 'group'; readonly id: string }
  | { readonly kind: 'operations'; readonly ids: readonly string[] }
  | { readonly kind: 'recent' };

/** What the page shows beside the table; the host sends that much and no more. */
export interface View {
  /** Runs whose every printed value is plotted. */
  readonly series: readonly string[];
  /** Runs whose output is shown side by side. */
  readonly outputs: readonly string[];
  readonly stream: 'stdout' | 'stderr';
  /** The run whose changed files are shown. */
  readonly files: string | null;
}

export type PageMessage =
  /** The page was loaded: it has nothing and wants everything. `subject` is what it showed before a reload. */
  | { readonly type: 'ready'; readonly subject: Subject | null }
  /** A snapshot was drawn: the next may come. */
  | { readonly type: 'drawn'; readonly sequence: number }
  | { readonly type: 'view'; readonly view: View }
  | { readonly type: 'open'; readonly subject: Subject }
  | { readonly type: 'preview'; readonly setup: Setup }
  | { readonly type: 'start'; readonly setup: Setup }
  | { readonly type: 'metric'; readonly metric: MetricChoice }
  | { readonly type: 'cancel'; readonly ids: readonly string[] }
  | { readonly type: 'retry'; readonly ids: readonly string[] }
  | { readonly type: 'openOutput'; readonly id: string }
  | { readonly type: 'makeHead'; readonly id: string }
  | { readonly type: 'openFile'; readonly id: string; readonly path: string }
  | { readonly type: 'download'; readonly ids: readonly string[]; readonly paths: readonly string[] }
  | { readonly type: 'cancelDownload'; readonly download: number }
  | { readonly type: 'exportCsv'; readonly what: 'runs' | 'series' }
  | { readonly type: 'exportPicture'; readonly format: 'svg' | 'png'; readonly data: string }
  | { readonly type: 'pickImage' }
  | { readonly type: 'saveSetup'; readonly setup: Setup }
  | { readonly type: 'loadSetup' };

/** One run of the table. Times are milliseconds since the epoch, by the host's clock. */
export interface Row {
  readonly id: string;
  /** Place in the order it was started. */
  readonly number: number;
  readonly status: RunStatus;
  readonly title: string;
  /** One a column. */
  readonly labels: readonly string[];
  readonly metric: number | null;
  /** How often the metric was printed. */
  readonly printed: number;
  readonly started: number | null;
  readonly finished: number | null;
  /** `exit 1`, `timed out`, … once it ended. */
  readonly outcome: string;
  readonly lastLine: string;
  /** 2 and more: it was retried. */
  readonly attempts: number;
  /** It left an image of its own, whose changed files can be looked at. */
  readonly kept: boolean;
}

export interface GroupChoice {
  readonly id: string;
  readonly title: string;
  readonly started: number;
}

export interface DownloadView {
  readonly download: number;
  readonly title: string;
  readonly state: 'going' | 'done' | 'failed' | 'cancelled';
  readonly words: string;
  /** 0–1, null where the size is not known. */
  readonly fraction: number | null;
}

export interface Snapshot {
  readonly type: 'snapshot';
  readonly sequence: number;
  /** The host's clock. */
  readonly now: number;
  readonly engine: { readonly kind: 'idle' | 'connecting' | 'connected' | 'failed'; readonly words: string };
  readonly trusted: boolean;
  readonly subject: Subject;
  readonly groups: readonly GroupChoice[];
  /** Names of the labels. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** The set-up the shown group was started with, where it is known. */
  readonly setup: Setup | null;
  readonly metric: MetricView;
  /** The run with the best metric. */
  readonly best: string | null;
  readonly series: readonly Series[];
  readonly downloads: readonly DownloadView[];
}

export interface MetricView {
  readonly choice: MetricChoice;
  /** What is wrong with the pattern. */
  readonly problem: string | null;
  /** Groups of the pattern that can be chosen: names, else numbers. */
  readonly groups: readonly string[];
  /** Runs whose output has not been read to its end. */
  readonly reading: number;
}

export interface Series {
  readonly id: string;
  /** Which of the printed values it is, from 1, and the value. */
  readonly points: readonly (readonly [number, number])[];
}

export interface PlannedRun {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** `field` is the set-up's part that is wrong: `commands`, `parameters.1.values`, `memory`. */
export interface Problem {
  readonly field: string;
  readonly message: string;
}

export interface Preview {
  readonly type: 'preview';
  readonly runs: readonly PlannedRun[];
  readonly problems: readonly Problem[];
  /** Worth knowing, and no reason not to start. */
  readonly notes: readonly string[];
  readonly metric: Pick<MetricView, 'problem' | 'groups'>;
}

export interface OutputView {
  readonly id: string;
  readonly text: string;
  /** The beginning is left out. */
  readonly cut: boolean;
}

export interface Outputs {
  readonly type: 'outputs';
  readonly stream: 'stdout' | 'stderr';
  readonly outputs: readonly OutputView[];
}

export interface ChangedFile {
  readonly path: string;
  readonly change: 'A' | 'M' | 'D';
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly size: number;
}

export interface ChangedFiles {
  readonly type: 'files';
  readonly id: string;
  readonly entries: readonly ChangedFile[];
  /** More than `entries` when there are too many to list. */
  readonly total: number;
  readonly problem: string | null;
}

export type HostMessage =
  | Snapshot
  | Preview
  | Outputs
  | ChangedFiles
  /** A set-up to put into the form: one that was loaded, or one that a deep link asks for. */
  | { readonly type: 'setup'; readonly setup: Setup }
  | { readonly type: 'image'; readonly image: string }
  /** The runs were started, or why not. */
  | { readonly type: 'started'; readonly problem: string | null };

/** What the page keeps over a reload. */
export interface PageState {
  readonly subject: Subject;
  readonly mode: 'setup' | 'runs';
  readonly draft: Setup;
  readonly tab: string;
  readonly selected: readonly string[];
  readonly current: string | null;
  readonly sort: { readonly by: string; readonly down: boolean };
  readonly filter: string;
  readonly state: string;
  readonly plot: PlotChoice;
  readonly stream: 'stdout' | 'stderr';
  /** How much of the width the table has, in percent; null: as the tab beside it asks for. */
  readonly split: number | null;
}

export interface PlotChoice {
  /** A label, or `(printed)`: every printed value, one line a run. */
  readonly x: string;
  readonly color: string;
  /** null: where the values ask for it. */
  readonly logX: boolean | null;
  readonly logY: boolean | null;
}

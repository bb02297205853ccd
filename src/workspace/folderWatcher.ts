import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { type BytePath, fromText, toText } from './bytePath.ts';
import { type ExcludeOptions, Excludes, IGNORE_FILES, type IgnoreFile } from './excludes.ts';

export type FolderChange =
  /** Paths relative to the folder. */
  | { readonly kind: 'paths'; readonly paths: readonly string[] }
  /** Too much, or something was missed: look at everything. */
  | { readonly kind: 'everything' };

export interface WatchTrouble {
  readonly code: 'watch_limit' | 'watch_failed';
  readonly message: string;
  readonly fix: string;
}

export interface FolderWatcherOptions {
  readonly folder: string;
  readonly excludes: ExcludeOptions;
  readonly onChange: (change: FolderChange) => void;
  /** Watching has ended: whoever listens falls back to syncing when it runs something. */
  readonly onTrouble: (trouble: WatchTrouble) => void;
  /** A folder that is never looked at, wherever it lies: what is written there in answer to a change is no change. */
  readonly leaveOut?: string;
  readonly quietMs?: number;
  readonly longestMs?: number;
}

/** A burst (a checkout, an install) is one change: it ends when nothing came for a moment, or after a second at most. */
const QUIET_MS = 60;
const LONGEST_MS = 1_000;
/** Beyond it, walking the folder is cheaper than following each path. */
const MANY_PATHS = 5_000;

/** Watches a folder without ever entering what is excluded: one watch a folder, none below `node_modules`. */
export class FolderWatcher {
  readonly #options: FolderWatcherOptions;
  readonly #changed = new Set<string>();
  /** What holds inside each folder; read when first asked, dropped when rules change. */
  #rules = new Map<BytePath, Excludes>();
  #watcher: FSWatcher | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #longest: NodeJS.Timeout | undefined;
  #rulesChanged = false;
  #everything = false;
  #closed = false;
  readonly #end = Promise.withResolvers<void>();
  /** One start after the other, so that no watcher is forgotten. */
  #starting: Promise<void> = Promise.resolve();

  constructor(options: FolderWatcherOptions) {
    this.#options = options;
  }

  /** Resolves when changes are seen from now on; what changed before is for a first full sync to find. */
  start(): Promise<void> {
    this.#starting = this.#open();
    return this.#starting;
  }

  /** Also when it is closed before, or fails: the trouble is told apart. */
  async #open(): Promise<void> {
    this.#rules = new Map();
    const watcher = watch(this.#options.folder, {
      ignored: (file, stats) => this.#ignored(file, stats?.isDirectory()),
      ignoreInitial: true,
      followSymlinks: false,
      // An editor that saves by renaming is one change for us anyway: the burst folds it.
      atomic: false,
    });
    this.#watcher = watcher;
    watcher.on('all', (_event, file) => this.#saw(file));
    watcher.on('error', error => this.#fail(error));
    await Promise.race([new Promise<void>(resolve => watcher.once('ready', resolve)), this.#end.promise]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#end.resolve();
    this.#stopTimers();
    await this.#watcher?.close();
  }

  #saw(file: string): void {
    if (this.#closed) return;
    const relative = this.#relative(file);
    if ((IGNORE_FILES as readonly string[]).includes(path.basename(file))) this.#rulesChanged = true;
    if (this.#changed.size < MANY_PATHS) this.#changed.add(relative);
    else this.#everything = true;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#tell(), this.#options.quietMs ?? QUIET_MS);
    this.#longest ??= setTimeout(() => this.#tell(), this.#options.longestMs ?? LONGEST_MS);
  }

  #tell(): void {
    this.#stopTimers();
    const change: FolderChange =
      this.#everything || this.#rulesChanged ? { kind: 'everything' } : { kind: 'paths', paths: [...this.#changed] };
    const restart = this.#rulesChanged;
    this.#changed.clear();
    this.#everything = false;
    this.#rulesChanged = false;
    if (restart) this.#starting = this.#starting.then(() => this.#restart());
    this.#options.onChange(change);
  }

  /** Other rules mean other folders to watch. What changed while we were blind is found by looking at everything. */
  async #restart(): Promise<void> {
    await this.#watcher?.close();
    if (this.#closed) return;
    await this.#open();
    if (!this.#closed) this.#options.onChange({ kind: 'everything' });
  }

  #fail(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    // What vanished before it could be watched needs no watching.
    if (this.#closed || code === 'ENOENT' || code === 'ENOTDIR') return;
    const limit = code === 'ENOSPC' || code === 'EMFILE' || code === 'ENFILE';
    this.close().catch(() => undefined); // What it watched is of no more use to anybody.
    this.#options.onTrouble({
      code: limit ? 'watch_limit' : 'watch_failed',
      message: limit
        ? `the system allows no more file watches (${code})`
        : `watching ${this.#options.folder} failed: ${message}`,
      fix: limit
        ? 'Exclude large folders, or raise fs.inotify.max_user_watches.'
        : 'Files are synced when something is run.',
    });
  }

  #stopTimers(): void {
    clearTimeout(this.#quiet);
    clearTimeout(this.#longest);
    this.#quiet = undefined;
    this.#longest = undefined;
  }

  #relative(file: string): string {
    return path.relative(this.#options.folder, file).split(path.sep).join('/');
  }

  /** chokidar asks once with nothing but the name, then with what it is. A rule for folders waits for the second time. */
  #ignored(file: string, directory: boolean | undefined): boolean {
    const relative = fromText(this.#relative(file));
    if (relative === '' || relative === '..' || relative.startsWith('../')) return false;
    if (file === this.#options.leaveOut) return true;
    const parent = this.#inside(relative.includes('/') ? relative.slice(0, relative.lastIndexOf('/')) : '');
    if (!parent) return true;
    return directory === undefined
      ? parent.excludes(relative, false) && parent.excludes(relative, true)
      : parent.excludes(relative, directory);
  }

  /** undefined: the folder itself is excluded. */
  #inside(folder: BytePath): Excludes | undefined {
    const known = this.#rules.get(folder);
    if (known) return known;
    const outer =
      folder === ''
        ? Excludes.root(this.#options.excludes)
        : this.#inside(folder.includes('/') ? folder.slice(0, folder.lastIndexOf('/')) : '');
    if (!outer || (folder !== '' && outer.excludes(folder, true))) return undefined;
    const rules = outer.inside(folder, this.#readRules(folder, outer));
    this.#rules.set(folder, rules);
    return rules;
  }

  #readRules(folder: BytePath, outer: Excludes): { [File in IgnoreFile]?: BytePath } {
    const texts: { [File in IgnoreFile]?: BytePath } = {};
    for (const file of outer.files) {
      try {
        texts[file] = readFileSync(path.join(this.#options.folder, toText(folder), file), 'latin1');
      } catch {
        // Most folders have none; one we may not read excludes nothing, and sync will name it.
      }
    }
    return texts;
  }
}

import * as vscode from 'vscode';
import type { CallOptions } from '../../client/engineClient.ts';
import type { CoppiceError } from '../../protocol/errors.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import type { FolderChange } from '../../workspace/folderWatcher.ts';
import { Disposable } from '../disposable.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import type { FolderSettings } from './folderSettings.ts';
import { FolderThread } from './folderThread.ts';

type Synced = VerbResult<'rsync'>;

/** What people are told about a folder's sync. */
export interface SyncStatus {
  readonly folder: vscode.WorkspaceFolder;
  readonly settings: FolderSettings;
  /** `watching`: every change becomes a state; `on run`: nothing happens until something is run. */
  readonly kind: 'off' | 'on run' | 'watching' | 'paused';
  readonly syncing: boolean;
  /** The last state, and what is in it. */
  readonly state: Synced | undefined;
  /** Why the last state may not be what is on disk. */
  readonly trouble: { readonly message: string; readonly fix?: string | undefined } | undefined;
}

/** More paths than one question may hold: then everything is looked at. */
const MANY_PATHS = 50_000;

/** One workspace folder and its directory states: synced when it changes, or when somebody asks. */
export class FolderSync extends Disposable {
  readonly #folder: vscode.WorkspaceFolder;
  readonly #settings: FolderSettings;
  readonly #connection: EngineConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #script: string;
  readonly #changed = this._register(new vscode.EventEmitter<void>());
  readonly #abort = new AbortController();
  #kind: SyncStatus['kind'];
  #thread: FolderThread | undefined;
  #reconnecting: vscode.Disposable | undefined;
  #paths = new Set<string>();
  #everything = false;
  #syncing = 0;
  #state: Synced | undefined;
  #trouble: SyncStatus['trouble'];
  /** Why it is not watched although it should be: stays however well a sync goes. */
  #unwatched: SyncStatus['trouble'];
  /** One sync after the other, so that the last state told is the newest. */
  #queue: Promise<unknown> = Promise.resolve();
  #pumping = false;
  /** After a failed sync the next one looks at everything. */
  #lost = false;

  readonly onDidChange = this.#changed.event;

  constructor(parts: {
    readonly folder: vscode.WorkspaceFolder;
    readonly settings: FolderSettings;
    readonly connection: EngineConnection;
    readonly log: vscode.LogOutputChannel;
    /** The watching thread's bundle. */
    readonly script: string;
  }) {
    super();
    this.#folder = parts.folder;
    this.#settings = parts.settings;
    this.#connection = parts.connection;
    this.#log = parts.log;
    this.#script = parts.script;
    this.#kind = parts.settings.mode === 'off' ? 'off' : 'on run';
    this._register(
      this.#connection.onDidChangeState(({ kind }) => {
        if (kind === 'connected' && this.#kind === 'watching' && this.#lost) this.#note({ kind: 'everything' });
      }),
    );
  }

  get status(): SyncStatus {
    return {
      folder: this.#folder,
      settings: this.#settings,
      kind: this.#kind,
      syncing: this.#syncing > 0,
      state: this.#state,
      trouble: this.#trouble,
    };
  }

  /** From now on every change on disk becomes a state, where the settings say so. */
  watch(): void {
    if (this.isDisposed || this.#settings.mode !== 'on' || this.#thread) return;
    this.#unwatched = undefined;
    this.#become('watching');
    this.#reconnecting ??= this.#connection.watch();
    const order = {
      folder: this.#folder.uri.fsPath,
      excludes: this.#settings.excludes,
      unwatched: this.#settings.unwatched,
      leaveOut: this.#connection.home,
    };
    this.#thread = new FolderThread(this.#script, order, {
      // What changed before was seen by nobody.
      ready: () => this.#note({ kind: 'everything' }),
      changed: change => this.#note(change),
      troubled: trouble => {
        this.#unwatch();
        this.#log.warn(`${this.#folder.name}: ${trouble.message}: it is synced when something is run. ${trouble.fix}`);
        this.#unwatched = { message: `${trouble.message}: synced when something is run`, fix: trouble.fix };
        this.#trouble = this.#unwatched;
        this.#become('on run');
        this.#note({ kind: 'everything' });
      },
    });
  }

  pause(): void {
    if (this.#kind !== 'watching') return;
    this.#unwatch();
    this.#become('paused');
  }

  /** All of the folder as it is on disk now. */
  async sync(options: CallOptions = {}): Promise<Synced> {
    this.#paths.clear();
    this.#everything = false;
    try {
      return await this.#inTurn(undefined, options);
    } catch (error) {
      // What it would have seen is seen all the same.
      if (options.signal?.aborted && this.#kind === 'watching') this.#note({ kind: 'everything' });
      throw error;
    }
  }

  override dispose(): void {
    this.#abort.abort();
    this.#unwatch();
    super.dispose();
  }

  #unwatch(): void {
    this.#thread?.dispose();
    this.#thread = undefined;
    this.#reconnecting?.dispose();
    this.#reconnecting = undefined;
  }

  #note(change: FolderChange): void {
    if (change.kind === 'everything') this.#everything = true;
    else for (const path of change.paths) this.#paths.add(path);
    if (this.#paths.size > MANY_PATHS) this.#everything = true;
    if (!this.#pumping) void this.#pump();
  }

  /** What changes meanwhile is in the next one. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    try {
      while (!this.isDisposed && (this.#everything || this.#paths.size > 0)) {
        const changed = this.#everything ? undefined : [...this.#paths];
        this.#paths.clear();
        this.#everything = false;
        await this.#inTurn(changed, {});
      }
    } catch {
      // It is told where it happened, and the next change tries again.
      this.#everything = false;
      this.#paths.clear();
    } finally {
      this.#pumping = false;
    }
  }

  #inTurn(changed: readonly string[] | undefined, options: CallOptions): Promise<Synced> {
    const turn = this.#queue.then(() => this.#rsync(this.#lost ? undefined : changed, options));
    this.#queue = turn.catch(() => undefined); // Whoever asked is told.
    return turn;
  }

  async #rsync(changed: readonly string[] | undefined, options: CallOptions): Promise<Synced> {
    const signals = [this.#abort.signal, ...(options.signal ? [options.signal] : [])];
    const { excludes, destination } = this.#settings;
    this.#syncing++;
    this.#changed.fire();
    try {
      const state = await this.#connection.call(
        'rsync',
        {
          source: this.#folder.uri.fsPath,
          destination,
          exclude: [...excludes.exclude],
          gitignore: excludes.gitignore,
          ...(changed === undefined ? {} : { changed: [...changed] }),
        },
        { ...options, signal: AbortSignal.any(signals) },
      );
      this.#synced(state);
      return state;
    } catch (thrown) {
      this.#failed(asCoppiceError(thrown));
      throw thrown;
    } finally {
      this.#syncing--;
      this.#changed.fire();
    }
  }

  #synced(state: Synced): void {
    if (state.directory_state_id !== this.#state?.directory_state_id) {
      const { added, modified, deleted, duration_ms } = state;
      this.#log.info(
        `${this.#folder.name}: ${state.directory_state_id}, ${added} added, ${modified} modified, ${deleted} deleted in ${duration_ms} ms`,
      );
    }
    this.#state = state;
    this.#lost = false;
    this.#trouble = this.#unwatched;
  }

  #failed(error: CoppiceError): void {
    this.#lost = true;
    if (error.code === 'cancelled' || this.isDisposed) return;
    this.#log.warn(`${this.#folder.name} is not synced: ${error.message} ${error.fix ?? ''}`);
    this.#trouble = { message: error.message, fix: error.fix };
  }

  #become(kind: SyncStatus['kind']): void {
    this.#kind = kind;
    this.#changed.fire();
  }
}

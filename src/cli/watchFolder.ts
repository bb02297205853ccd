import { realpathSync, statSync } from 'node:fs';
import type { EngineClient } from '../client/engineClient.ts';
import { CoppiceError } from '../protocol/errors.ts';
import type { VerbInput, VerbResult } from '../protocol/verbs.ts';
import type { FolderChange, FolderWatcher, WatchTrouble } from '../workspace/folderWatcher.ts';
import type { Context } from './command.ts';
import { errorLine } from './errorReport.ts';
import { EXIT } from './exitCode.ts';
import { syncLine } from './syncedFolder.ts';
import { UsageError } from './usageError.ts';

/** How often all files are looked at where the system lets us watch no more. */
const LOOK_MS = 2_000;
/** More paths than one question may hold: then everything is looked at. */
const MANY_PATHS = 50_000;

type Input = VerbInput<'rsync'>;

/** `coppice sync --watch`: every new state in a line, until Ctrl-C. */
export async function watchFolder(context: Context, client: EngineClient, input: Input): Promise<number> {
  if (!statSync(input.source, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--watch wants a folder: ${input.source}`, 'sync');
  const watch = new FolderWatch(context, client, { ...input, source: realpathSync(input.source) });
  await context.interrupts.during(
    () => watch.stop(),
    () => watch.run(),
  );
  return EXIT.ok;
}

class FolderWatch {
  readonly #context: Context;
  readonly #client: EngineClient;
  readonly #input: Input;
  readonly #changed = new Set<string>();
  #everything = true;
  #ended = false;
  #wake = () => {};
  #last: string | undefined;
  readonly #cancel = new AbortController();
  #looking: NodeJS.Timeout | undefined;

  constructor(context: Context, client: EngineClient, input: Input) {
    this.#context = context;
    this.#client = client;
    this.#input = input;
  }

  stop(): void {
    this.#ended = true;
    this.#cancel.abort();
    this.#wake();
  }

  /** The watcher starts first: what changes during the first sync is seen by the second. */
  async run(): Promise<void> {
    const watcher = await this.#watcher();
    const started = watcher.start();
    try {
      await Promise.race([started, new Promise<void>(resolve => (this.#wake = resolve))]);
      while (!this.#ended) {
        await this.#sync();
        await this.#nextChange();
      }
    } finally {
      clearInterval(this.#looking);
      await watcher.close();
    }
  }

  /** Loaded when asked for: other commands start faster without it. */
  async #watcher(): Promise<FolderWatcher> {
    const { FolderWatcher } = await import('../workspace/folderWatcher.ts');
    return new FolderWatcher({
      folder: this.#input.source,
      excludes: {
        defaults: this.#input.default_excludes ?? true,
        gitignore: this.#input.gitignore ?? true,
        exclude: this.#input.exclude ?? [],
      },
      leaveOut: this.#context.home,
      onChange: change => this.#note(change),
      onTrouble: trouble => this.#lookInstead(trouble),
    });
  }

  #note(change: FolderChange): void {
    if (change.kind === 'everything') this.#everything = true;
    else for (const path of change.paths) this.#changed.add(path);
    if (this.#changed.size > MANY_PATHS) this.#everything = true;
    this.#wake();
  }

  #lookInstead(trouble: WatchTrouble): void {
    this.#say(`${trouble.message}: looking at all files every ${LOOK_MS / 1000} s instead. ${trouble.fix}`);
    this.#looking = setInterval(() => this.#note({ kind: 'everything' }), LOOK_MS);
    this.#note({ kind: 'everything' });
  }

  async #sync(): Promise<void> {
    const changed = this.#everything ? undefined : [...this.#changed];
    this.#everything = false;
    this.#changed.clear();
    try {
      const input = { ...this.#input, ...(changed === undefined ? {} : { changed }) };
      this.#show(await this.#client.call('rsync', input, { signal: this.#cancel.signal }));
    } catch (error) {
      if (this.#ended) return;
      if (!(error instanceof CoppiceError) || error.code === 'engine_died' || error.code === 'engine_unreachable')
        throw error;
      // It may be mended by the next save; until then nothing of what changed is known.
      this.#say(errorLine(error));
      await this.#nextChange();
      this.#everything = true;
    }
  }

  async #nextChange(): Promise<void> {
    while (!this.#ended && !this.#everything && this.#changed.size === 0)
      await new Promise<void>(resolve => (this.#wake = resolve));
  }

  /** A save that changes nothing is no new state. */
  #show(result: VerbResult<'rsync'>): void {
    if (result.directory_state_id === this.#last) return;
    this.#last = result.directory_state_id;
    const { out, err } = this.#context.terminal;
    if (this.#context.json) out.line(JSON.stringify(result));
    else if (out.isTerminal) out.line(`${out.style('cyan', this.#last)}  ${out.style('dim', syncLine(result))}`);
    else {
      out.line(this.#last);
      err.line(err.style('dim', syncLine(result)));
    }
  }

  #say(line: string): void {
    const { err } = this.#context.terminal;
    err.line(`${err.style('yellow', 'coppice:')} ${line}`);
  }
}

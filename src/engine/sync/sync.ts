import { realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ExcludeOptions } from '../../workspace/excludes.ts';
import type { Call } from '../call.ts';
import type { EventBus } from '../eventBus.ts';
import type { Collected } from './collect.ts';
import type { StateStore } from './stateStore.ts';
import {
  type LayOutRequest,
  SHARED,
  type SyncOutcome,
  type SyncRequest,
  type WorkerAnswer,
  type WorkerRequest,
  type WorkerValue,
} from './syncThread.ts';

type Request = VerbRequest<'rsync'>;

/** The verb `rsync`: a folder as it is now becomes a directory state. The work is done by a thread of its own. */
export class Sync {
  readonly #home: string;
  readonly #script: string;
  readonly #states: StateStore;
  readonly #events: EventBus;
  readonly #waiting = new Map<
    number,
    { readonly resolve: (value: WorkerValue) => void; readonly reject: (error: Error) => void }
  >();
  #worker: Worker | undefined;
  #counter = 0;

  constructor(parts: {
    readonly home: string;
    readonly script: string;
    readonly states: StateStore;
    readonly events: EventBus;
  }) {
    this.#home = parts.home;
    this.#script = parts.script;
    this.#states = parts.states;
    this.#events = parts.events;
  }

  async call(request: Request, call: Call): Promise<VerbResult<'rsync'>> {
    const startedAt = performance.now();
    const source = this.#sourceOf(request.source);
    const destination = path.posix.normalize(request.destination).replace(/\/+$/, '');
    const shared = new SharedArrayBuffer(4 * SHARED.length);
    const numbers = new Int32Array(shared);
    const stop = () => Atomics.store(numbers, SHARED.stop, 1);
    const telling = setInterval(() => call.progress({ message: progressMessage(numbers) }), PROGRESS_MS);
    call.signal.addEventListener('abort', stop, { once: true });
    let outcome: SyncOutcome;
    try {
      outcome = await this.#sync({
        source,
        destination,
        exclude: request.exclude,
        gitignore: request.gitignore,
        defaultExcludes: request.default_excludes,
        owner: request.owner,
        changed: request.changed === undefined ? undefined : relativeTo([request.source, source], request.changed),
        shared,
      });
    } finally {
      call.signal.removeEventListener('abort', stop);
      clearInterval(telling);
    }
    const { id, object, mode, mtime, files, bytes } = outcome;
    const excludes = JSON.stringify({
      defaults: request.default_excludes,
      gitignore: request.gitignore,
      exclude: request.exclude,
    } satisfies ExcludeOptions);
    // The same files at another destination are another state.
    const unchanged = outcome.unchanged && this.#states.lookUp(id) !== undefined;
    const state = this.#states.keep({
      id,
      source,
      destination,
      owner: request.owner ?? null,
      excludes,
      object,
      mode,
      mtime,
      files,
      bytes,
    });
    if (!unchanged) this.#events.emit({ topic: 'directory_state', state: this.#states.view(state) });
    return {
      directory_state_id: id,
      files,
      bytes,
      added: outcome.added,
      modified: outcome.modified,
      deleted: outcome.deleted,
      uploaded_bytes: outcome.written,
      unchanged,
      skipped: outcome.skipped,
      duration_ms: Math.round((performance.now() - startedAt) * 100) / 100,
      hints:
        unchanged && request.changed === undefined
          ? ['Nothing changed since the last sync: the id is the same and can be used again without another sync.']
          : [],
    };
  }

  /** False: not whole, but what differs from the earlier tree. */
  async layOut(request: LayOutRequest): Promise<boolean> {
    return (await this.#ask(call => ({ call, layOut: request }))) as boolean;
  }

  /** Drops what nothing has named since `before`; blobs and folders go with the last state that has them. */
  async collect(before: number): Promise<Collected> {
    return (await this.#ask(call => ({ call, collectBefore: before }))) as Collected;
  }

  async #sync(request: SyncRequest): Promise<SyncOutcome> {
    return (await this.#ask(call => ({ call, sync: request }))) as SyncOutcome;
  }

  /** Links in the source's own path are followed once, here; links inside it are kept as links. */
  #sourceOf(source: string): string {
    const stats = statSync(source, { throwIfNoEntry: false });
    if (!stats) throw new CoppiceError('path_not_found', `no folder ${source}`, { field: 'source' });
    if (!stats.isDirectory() && !stats.isFile())
      throw new CoppiceError('not_a_directory', `neither a folder nor a file: ${source}`, { field: 'source' });
    const real = realpathSync(source);
    const home = realpathSync(this.#home);
    if (real === home || real.startsWith(home + path.sep))
      throw invalidInput('source', `${source} lies inside Coppice's own folder`, 'Sync a folder of your own.');
    return real;
  }

  #ask(request: (call: number) => WorkerRequest): Promise<WorkerValue> {
    return new Promise((resolve, reject) => {
      const call = ++this.#counter;
      this.#waiting.set(call, { resolve, reject });
      this.#thread().postMessage(request(call));
    });
  }

  /** Started when first needed: an engine that never syncs pays nothing. */
  #thread(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(this.#script, { workerData: { home: this.#home } });
    worker.on('message', (answer: WorkerAnswer) => {
      const waiting = this.#waiting.get(answer.call);
      this.#waiting.delete(answer.call);
      if ('error' in answer)
        waiting?.reject(
          answer.error.code === 'internal' ? new Error(answer.error.message) : CoppiceError.from(answer.error),
        );
      else waiting?.resolve(answer.value);
    });
    const gone = (error: Error) => {
      this.#worker = undefined;
      for (const waiting of this.#waiting.values()) waiting.reject(error);
      this.#waiting.clear();
    };
    worker.on('error', gone);
    worker.on('exit', () => gone(new Error('the sync thread ended')));
    worker.unref();
    this.#worker = worker;
    return worker;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    if (!worker) return;
    await this.#ask(call => ({ call, flush: true }));
    this.#worker = undefined;
    await worker.terminate();
  }
}

/** A first sync of a large folder takes its time. */
const PROGRESS_MS = 250;
const progressMessage = (numbers: Int32Array): string =>
  `syncing, ${Atomics.load(numbers, SHARED.files).toLocaleString('en')} files read`;

/** Whoever watches may name files by the path that was asked for or by the real one. */
function relativeTo(sources: readonly string[], changed: readonly string[]): string[] {
  return changed.map(file => {
    const ways = path.isAbsolute(file) ? sources.map(source => path.relative(source, file)) : [path.normalize(file)];
    const relative = ways.find(way => way !== '..' && !way.startsWith(`..${path.sep}`));
    if (relative === undefined) throw invalidInput('changed', `${file} does not lie in ${sources[0]}`);
    return relative === '.' ? '' : relative.split(path.sep).join('/');
  });
}

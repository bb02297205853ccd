import { Worker } from 'node:worker_threads';
import type { FolderChange, WatchTrouble } from '../../workspace/folderWatcher.ts';
import type { WatchMessage, WatchOrder } from '../../workspace/watchThread.ts';

export interface FolderListener {
  /** Changes are seen from now on. */
  readonly ready: () => void;
  readonly changed: (change: FolderChange) => void;
  /** Nothing is watched any more. */
  readonly troubled: (trouble: WatchTrouble) => void;
}

/** Watches a folder on a thread of its own, so that the extension host never waits for it. */
export class FolderThread {
  readonly #worker: Worker;
  readonly #listener: FolderListener;
  #ended = false;

  constructor(script: string, order: WatchOrder, listener: FolderListener) {
    this.#listener = listener;
    // What the window's process was started with (a debugger, a heap size) is not for the thread.
    this.#worker = new Worker(script, { workerData: order, execArgv: [] });
    this.#worker.on('message', (message: WatchMessage) => this.#take(message));
    this.#worker.on('error', error => this.#fail(error.message));
    this.#worker.on('exit', code => this.#fail(`the watching thread ended with ${code}`));
    this.#worker.unref();
  }

  dispose(): void {
    this.#ended = true;
    void this.#worker.terminate();
  }

  #take(message: WatchMessage): void {
    if (this.#ended) return;
    if (message.kind === 'ready') this.#listener.ready();
    else if (message.kind === 'change') this.#listener.changed(message.change);
    else this.#trouble(message.trouble);
  }

  #fail(message: string): void {
    this.#trouble({ code: 'watch_failed', message, fix: 'Files are synced when something is run.' });
  }

  #trouble(trouble: WatchTrouble): void {
    if (this.#ended) return;
    this.dispose();
    this.#listener.troubled(trouble);
  }
}

import type * as vscode from 'vscode';

/** Owns what it registers: disposed in reverse order, and at once when it comes too late. */
export abstract class Disposable implements vscode.Disposable {
  readonly #owned: vscode.Disposable[] = [];
  #disposed = false;

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (let thing = this.#owned.pop(); thing; thing = this.#owned.pop()) thing.dispose();
  }

  protected get isDisposed(): boolean {
    return this.#disposed;
  }

  protected _register<T extends vscode.Disposable>(thing: T): T {
    if (this.#disposed) thing.dispose();
    else this.#owned.push(thing);
    return thing;
  }
}

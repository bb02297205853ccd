import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeTree } from '../../scripts/removeTree.mjs';

// Every folder, home and daemon in use has one of its own.
process.setMaxListeners(0);

/** A folder of a test's own; its name is short because sockets' paths must be. */
export class TemporaryFolder implements Disposable {
  readonly path = mkdtempSync(path.join(tmpdir(), 'coppice-'));
  readonly #remove = () => removeTree(this.path);

  constructor() {
    process.once('exit', this.#remove);
  }

  join(...parts: readonly string[]): string {
    return path.join(this.path, ...parts);
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#remove);
    this.#remove();
  }
}

/** An interrupted or timed-out test file runs no `finally`; leaving by `exit` gives everything in use its last chance. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

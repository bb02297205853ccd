import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

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

function removeTree(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    // What a sandbox wrote belongs to the user's subordinate ids, which only a user namespace may touch.
    execFileSync('unshare', ['--map-root-user', '--map-auto', 'rm', '-rf', folder]);
  }
}

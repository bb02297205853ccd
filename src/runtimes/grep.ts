import { Worker } from 'node:worker_threads';
import { CoppiceError, invalidInput } from '../protocol/errors.ts';
import { globMatcher } from './glob.ts';
import type { GrepOptions, GrepResult } from './runtime.ts';

/** Larger files are not searched: logs and disk images, not sources. */
export const maxSearched = 8 * 1024 * 1024;
const batchBytes = 1024 * 1024;
const batchFiles = 200;
/** A pattern that needs longer for one batch never ends. */
const batchMs = 8000;
const binaryLooksLike = 8192;

export interface SearchedFile {
  readonly path: string;
  readonly text: string;
}
interface Match {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** The pattern is a stranger's and may backtrack for ever: it runs in a thread that can be ended. */
export async function grepFiles(files: AsyncIterable<SearchedFile>, options: GrepOptions): Promise<GrepResult> {
  const search = new Search(options);
  try {
    const matches: Match[] = [];
    let filesSearched = 0;
    for await (const batch of batches(files)) {
      options.signal?.throwIfAborted();
      filesSearched += batch.length;
      matches.push(...(await search.match(batch, options.maxTotal + 1 - matches.length)));
      if (matches.length > options.maxTotal)
        return { matches: matches.slice(0, options.maxTotal), truncated: true, filesSearched };
    }
    return { matches, truncated: false, filesSearched };
  } finally {
    await search.close();
  }
}

async function* batches(files: AsyncIterable<SearchedFile>): AsyncGenerator<SearchedFile[]> {
  let batch: SearchedFile[] = [];
  let bytes = 0;
  for await (const file of files) {
    batch.push(file);
    bytes += file.text.length;
    if (bytes < batchBytes && batch.length < batchFiles) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

/** A glob without a slash is about names (`*.py`), one with a slash about the path below the start. */
export function fileFilter(start: string, glob: string | undefined): (path: string) => boolean {
  if (glob === undefined) return () => true;
  if (!glob.includes('/')) {
    const matcher = globMatcher(glob);
    return name => matcher.match(name.slice(name.lastIndexOf('/') + 1));
  }
  const matcher = globMatcher(glob.startsWith('/') ? glob : `${start === '/' ? '' : start}/${glob}`);
  return name => matcher.match(name);
}

/** undefined: it is binary. */
export function searchedText(content: Buffer): string | undefined {
  return content.subarray(0, binaryLooksLike).includes(0) ? undefined : content.toString();
}

/** Plain JavaScript: it is run as text, in a thread that shares nothing with ours. */
const searching = `
const { parentPort, workerData } = require('node:worker_threads');
const pattern = new RegExp(workerData.pattern, workerData.ignoreCase ? 'i' : '');
parentPort.on('message', ({ files, limit }) => {
  const matches = [];
  search: for (const { path, text } of files) {
    const lines = text.split('\\n');
    for (let line = 0; line < lines.length; line++) {
      if (!pattern.test(lines[line])) continue;
      matches.push({ path, line: line + 1, text: lines[line].replace(/\\r$/, '').slice(0, 500) });
      if (matches.length >= limit) break search;
    }
  }
  parentPort.postMessage(matches);
});`;

class Search {
  readonly #worker: Worker;

  constructor(options: GrepOptions) {
    try {
      new RegExp(options.pattern);
    } catch (error) {
      throw invalidInput('pattern', `is no JavaScript regular expression: ${(error as Error).message}`);
    }
    this.#worker = new Worker(searching, {
      eval: true,
      workerData: { pattern: options.pattern, ignoreCase: options.ignoreCase },
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    });
  }

  match(files: readonly SearchedFile[], limit: number): Promise<Match[]> {
    return new Promise((resolve, reject) => {
      const answered = (matches: Match[]) => settle(() => resolve(matches));
      const failed = (error: Error) => settle(() => reject(error));
      const timer = setTimeout(() => failed(tooSlow()), batchMs);
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#worker.off('message', answered).off('error', failed);
        then();
      };
      this.#worker.on('message', answered).on('error', failed);
      this.#worker.postMessage({ files, limit });
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

function tooSlow(): CoppiceError {
  return new CoppiceError('timeout', 'the pattern takes too long on some line', {
    field: 'pattern',
    fix: 'Write the pattern without repeats inside repeats, as (a+)+.',
  });
}

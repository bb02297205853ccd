import * as fs from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { CoppiceError, invalidInput } from '../../../../protocol/errors.ts';
import type { GrepOptions, GrepResult } from '../../../runtime.ts';
import { bytes } from '../layers/bytePaths.ts';
import { globMatcher } from './glob.ts';
import { normal } from './viewFiles.ts';
import { walk } from './walk.ts';

const { O_RDONLY, O_NOFOLLOW } = fs.constants;
/** Larger files are not searched: logs and disk images, not sources. */
const maxFile = 8 * 1024 * 1024;
const batchBytes = 1024 * 1024;
const batchFiles = 200;
/** A pattern that needs longer for one batch never ends. */
const batchMs = 8000;
const binaryLooksLike = 8192;

interface SearchedFile {
  readonly path: string;
  readonly text: string;
}
interface Match {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** The pattern is a stranger's and may backtrack for ever: it runs in a thread that can be ended. */
export async function grepView(root: LinuxRootedFolder, options: GrepOptions): Promise<GrepResult> {
  const search = new Search(options);
  try {
    const matches: Match[] = [];
    let filesSearched = 0;
    for await (const batch of batches(root, options)) {
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

async function* batches(root: LinuxRootedFolder, options: GrepOptions): AsyncGenerator<SearchedFile[]> {
  let batch: SearchedFile[] = [];
  let bytes = 0;
  for await (const file of searchedFiles(root, options)) {
    batch.push(file);
    bytes += file.text.length;
    if (bytes < batchBytes && batch.length < batchFiles) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

async function* searchedFiles(root: LinuxRootedFolder, options: GrepOptions): AsyncGenerator<SearchedFile> {
  const start = normal(options.path);
  const wanted = fileFilter(start, options.glob);
  if (root.stat(start).isFile()) {
    const text = readText(() => root.openFile(start));
    if (text !== undefined) yield { path: start, text };
    return;
  }
  for await (const entry of walk(root, start, () => true, options.signal)) {
    if (!entry.type.isFile() || !wanted(entry.path)) continue;
    const text = readText(() => fs.openSync(bytes(entry.place), O_RDONLY | O_NOFOLLOW));
    if (text !== undefined) yield { path: entry.path, text };
  }
}

/** A glob without a slash is about names (`*.py`), one with a slash about the path below the start. */
function fileFilter(start: string, glob: string | undefined): (path: string) => boolean {
  if (glob === undefined) return () => true;
  if (!glob.includes('/')) {
    const matcher = globMatcher(glob);
    return name => matcher.match(name.slice(name.lastIndexOf('/') + 1));
  }
  const matcher = globMatcher(glob.startsWith('/') ? glob : `${start === '/' ? '' : start}/${glob}`);
  return name => matcher.match(name);
}

/** undefined: too large, binary, or not for us to read. */
function readText(open: () => number): string | undefined {
  let fd: number;
  try {
    fd = open();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    throw error;
  }
  try {
    if (fs.fstatSync(fd).size > maxFile) return undefined;
    const content = fs.readFileSync(fd);
    return content.subarray(0, binaryLooksLike).includes(0) ? undefined : content.toString();
  } finally {
    fs.closeSync(fd);
  }
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

import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';
import { CoppiceError } from '../../protocol/errors.ts';
import type { DiffEntry } from '../../protocol/schemas/files.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';

/** Per file; beyond it, and beyond so many bytes of files in all, there is no text. */
const MAX_FILE = 524_288;
const MAX_TOTAL = 16_777_216;
/** Comparing two very different texts may take forever, and the engine serves others meanwhile. */
const MAX_MS = 50;

/** Adds a unified diff to each changed file: null where one of the two is binary, too large or too different. */
export async function withText(
  entries: readonly DiffEntry[],
  before: Pick<ImageFiles, 'read'>,
  after: Pick<ImageFiles, 'read'>,
  signal: AbortSignal,
): Promise<DiffEntry[]> {
  const result: DiffEntry[] = [];
  let total = 0;
  for (const entry of entries) {
    signal.throwIfAborted();
    total += entry.type === 'file' ? entry.size + entry.size_before : 0;
    if (entry.type !== 'file') result.push(entry);
    else if (total > MAX_TOTAL) result.push({ ...entry, text: null });
    else result.push({ ...entry, text: await textOf(entry, before, after) });
    await setImmediate();
  }
  return result;
}

async function textOf(
  entry: DiffEntry,
  before: Pick<ImageFiles, 'read'>,
  after: Pick<ImageFiles, 'read'>,
): Promise<string | null> {
  if (Math.max(entry.size, entry.size_before) > MAX_FILE) return null;
  const [from, to] = await Promise.all([
    entry.change === 'A' ? '' : readText(before, entry.path),
    entry.change === 'D' ? '' : readText(after, entry.path),
  ]);
  if (from === null || to === null) return null;
  // Only its mode, owner or time changed.
  if (from === to && entry.change === 'M') return '';
  return unifiedDiff(entry, from, to);
}

async function readText(files: Pick<ImageFiles, 'read'>, path: string): Promise<string | null> {
  try {
    const { bytes, size } = await files.read(path, 0, MAX_FILE);
    return size === bytes.length && isUtf8(bytes) && !bytes.includes(0) ? bytes.toString('utf8') : null;
  } catch (error) {
    // Private to the machine's root: that it changed can be told, its content cannot.
    if (error instanceof CoppiceError && error.code === 'path_not_found') return null;
    throw error;
  }
}

/** As `diff -u` and git write it, so that `patch` takes it. */
function unifiedDiff({ path, change }: DiffEntry, from: string, to: string): string | null {
  const patch = createTwoFilesPatch(
    change === 'A' ? '/dev/null' : `a${path}`,
    change === 'D' ? '/dev/null' : `b${path}`,
    from,
    to,
    undefined,
    undefined,
    { context: 3, timeout: MAX_MS, headerOptions: FILE_HEADERS_ONLY },
  );
  return patch ?? null;
}

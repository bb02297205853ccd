import type { Dirent } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type BytePath, fromText, toText } from './bytePath.ts';
import { type ExcludeOptions, Excludes, type IgnoreFile } from './excludes.ts';

export interface ExcludedPaths {
  /** Relative; a folder ends with `/` and stands for all that is in it. */
  readonly paths: readonly string[];
  /** true: there are more. */
  readonly more: boolean;
}

/** What a synced folder leaves out. Looks into nothing that is excluded. */
export async function excludedPaths(
  folder: string,
  options: ExcludeOptions,
  limit: number,
  signal: AbortSignal,
): Promise<ExcludedPaths> {
  const paths: string[] = [];
  const walk = async (at: BytePath, outer: Excludes): Promise<void> => {
    if (paths.length > limit) return;
    signal.throwIfAborted();
    const entries = await entriesOf(path.join(folder, toText(at)));
    const excludes = outer.inside(at, await ignoreTexts(path.join(folder, toText(at)), outer, entries));
    for (const entry of entries) {
      const inside = at === '' ? fromText(entry.name) : `${at}/${fromText(entry.name)}`;
      const directory = entry.isDirectory();
      if (excludes.excludes(inside, directory)) paths.push(`${toText(inside)}${directory ? '/' : ''}`);
      else if (directory) await walk(inside, excludes);
    }
  };
  await walk('', Excludes.root(options));
  return { paths: paths.slice(0, limit), more: paths.length > limit };
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return []; // What may not be read is for the sync to complain of.
  }
}

async function ignoreTexts(
  folder: string,
  outer: Excludes,
  entries: readonly Dirent[],
): Promise<{ [File in IgnoreFile]?: BytePath }> {
  const texts: { [File in IgnoreFile]?: BytePath } = {};
  for (const file of outer.files) {
    if (!entries.some(entry => entry.name === file && entry.isFile())) continue;
    try {
      texts[file] = await readFile(path.join(folder, file), 'latin1');
    } catch {
      // As above.
    }
  }
  return texts;
}

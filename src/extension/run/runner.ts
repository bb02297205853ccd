import type { Runners } from '../contributions.ts';

/** Which command runs a file. Pure, so that every rule is a unit test. */

/** By its whole name, else by its extension. */
export function runnerByName(name: string, runners: Runners): string | undefined {
  const key = [name, extension(name)].find(candidate => Object.hasOwn(runners, candidate));
  const runner = key === undefined ? '' : runners[key]!.trim();
  return runner === '' ? undefined : runner;
}

export function extension(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? name.slice(dot) : '';
}

/** `#!/usr/bin/env -S python3 -u` → `python3 -u`; only plain words, because the runner is read by a shell. */
export function runnerByFirstLine(firstLine: string): string | undefined {
  const line = /^#!\s*(?:\/usr\/bin\/env\s+(?:-S\s+)?)?([\w./+-]+(?:[ \t]+[\w./=+-]+)*)\s*$/.exec(firstLine);
  return line?.[1];
}

export interface Place {
  /** Working directory inside. */
  readonly cwd: string;
  /** The file's path inside. */
  readonly path: string;
  /** The file as an argument, from `cwd`: never looks like an option. */
  readonly argument: string;
}

/** Below where its workspace folder appears inside; a file of no workspace folder goes to `/workspace` itself. */
export function placeOf(
  file: string,
  folder: { readonly destination: string; readonly path: string } | undefined,
): Place {
  const inFolder = folder !== undefined && file.startsWith(`${folder.path.replace(/\/$/, '')}/`);
  const relative = inFolder
    ? file.slice(folder.path.replace(/\/$/, '').length + 1)
    : (file.split('/').at(-1) ?? 'file');
  const cwd = inFolder ? folder.destination : '/workspace';
  return { cwd, path: `${cwd}/${relative}`, argument: relative.startsWith('-') ? `./${relative}` : relative };
}

/** Without the blanks that all lines begin with: a selected body of a function runs on its own. */
export function dedented(text: string): string {
  const lines = text.split('\n');
  const blanks = lines.filter(line => line.trim() !== '').map(line => /^[ \t]*/.exec(line)![0]);
  let common = blanks[0] ?? '';
  for (const blank of blanks) while (!blank.startsWith(common)) common = common.slice(0, -1);
  return lines.map(line => (line.startsWith(common) ? line.slice(common.length) : line.trimStart())).join('\n');
}

/** Where a folder lies inside; one of no workspace folder has no place there. */
export function folderInside(path: string, folder: { readonly destination: string; readonly path: string }): string {
  const base = folder.path.replace(/\/$/, '');
  return path.startsWith(`${base}/`)
    ? `${folder.destination}${path.slice(base.length).replace(/\/$/, '')}`
    : folder.destination;
}

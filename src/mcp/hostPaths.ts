import path from 'node:path';
import type { VerbName } from '../protocol/verbs.ts';

/** The fields of verbs that name places on this machine. */
const HOST_PATHS: { readonly [V in VerbName]?: readonly string[] } = {
  run: ['workspace'],
  rsync: ['source'],
  states: ['source'],
  upload: ['path'],
  download: ['destination'],
  branch: ['workspace'],
  checkout: ['workspace'],
  rollback: ['workspace'],
  branches: ['workspace'],
  create_sandbox: ['workspace'],
};

/** The engine takes absolute paths only; agents write them relative to where they work. */
export function absoluteHostPaths(
  verb: VerbName,
  input: Readonly<Record<string, unknown>>,
  cwd: string,
): Record<string, unknown> {
  const fields = HOST_PATHS[verb] ?? [];
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [
      name,
      fields.includes(name) && typeof value === 'string' && value !== '' ? path.resolve(cwd, value) : value,
    ]),
  );
}

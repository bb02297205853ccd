import { invalid } from './errors.ts';
import type { Jobs } from './jobs/jobs.ts';

/** How a sandbox starts. */
export interface SandboxOptions {
  /** A UUID, `tag:NAME`, `branch:NAME` or `host:`. Default: the head of the branch checked out in this folder, else the engine's. */
  readonly image?: string;
  /** Its own command, as an argument list; without one it idles until it is stopped. */
  readonly command?: readonly string[];
  /** For all its processes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Environment too, never written to a record. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  readonly limits?: { readonly cpus?: number; readonly memory?: number | string; readonly pids?: number };
  readonly network?: 'nat' | 'none' | 'host';
  /** Files of a synced folder: `ds-…`. */
  readonly directoryStateId?: string;
  /** Uploaded files: path inside → UUID. */
  readonly files?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  /** It is stopped after so long. Default: none. */
  readonly lifetimeMs?: number;
  /** It lives on when this program ends. */
  readonly detached?: boolean;
  /** The folder whose checked-out branch is the default image. Default: this one. */
  readonly workspace?: string;
}

const NAMES: { readonly [Name in keyof Required<SandboxOptions>]: string } = {
  image: 'image',
  command: 'command',
  env: 'env',
  secrets: 'secrets',
  cwd: 'cwd',
  user: 'user',
  limits: 'limits',
  network: 'network',
  directoryStateId: 'directory_state_id',
  files: 'files',
  tags: 'tags',
  lifetimeMs: 'lifetime',
  detached: 'detached',
  workspace: 'workspace',
};

/** @internal The engine checks the values; a name it would never see is refused here. */
export function createInput(id: string, options: SandboxOptions): Jobs['create']['params'] {
  const input: Record<string, unknown> = { sandbox_id: id, workspace: process.cwd() };
  refuseUnknown(options, Object.keys(NAMES), 'a sandbox');
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    input[NAMES[name as keyof SandboxOptions]] = name === 'lifetimeMs' ? Number(value) / 1000 : value;
  }
  return input as Jobs['create']['params'];
}

/** @internal A misspelt option must not be one that is not heeded. */
export function refuseUnknown(options: object, names: readonly string[], of: string): void {
  const unknown = Object.keys(options).find(name => !names.includes(name));
  if (unknown !== undefined) throw invalid(unknown, `${of} has no such option`, `There are ${names.join(', ')}.`);
}

/** @internal `run(options)`, or `run('cmd', 'arg', …, options)`. */
export function runArguments(words: readonly (string | SandboxOptions)[]): SandboxOptions {
  const last = words.at(-1);
  const options = typeof last === 'object' ? last : {};
  const command = typeof last === 'object' ? words.slice(0, -1) : words;
  if (command.some(word => typeof word !== 'string')) throw invalid('run', 'takes words of a command, then options');
  if (command.length === 0) return options;
  if (options.command) throw invalid('command', 'is given twice');
  return { ...options, command: command as string[] };
}

/** @internal A session's defaults and one sandbox's own. */
export function mergedOptions(defaults: SandboxOptions, own: SandboxOptions): SandboxOptions {
  for (const { tags } of [defaults, own])
    if (tags !== undefined && !Array.isArray(tags)) throw invalid('tags', 'is a list');
  return {
    ...defaults,
    ...own,
    tags: [...new Set([...(defaults.tags ?? []), ...(own.tags ?? [])])],
    env: { ...defaults.env, ...own.env },
    secrets: { ...defaults.secrets, ...own.secrets },
  };
}

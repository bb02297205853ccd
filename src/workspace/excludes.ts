import { Minimatch } from 'minimatch';
import { type BytePath, fromText } from './bytePath.ts';

/** Never worth syncing; turned off by `default_excludes: false`. */
export const DEFAULT_EXCLUDES: readonly string[] = [
  '.git',
  '.hg',
  '.svn',
  'node_modules',
  '__pycache__',
  '*.pyc',
  '.venv',
  'venv',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  'target',
  'dist',
  'build',
  '.DS_Store',
];

/** Files with rules in them, at every level of a folder, in the order in which they are read: the later one wins. */
export const IGNORE_FILES = ['.gitignore', '.coppiceignore'] as const;
export type IgnoreFile = (typeof IGNORE_FILES)[number];

export interface ExcludeOptions {
  readonly defaults: boolean;
  readonly gitignore: boolean;
  /** Rules of the caller's own, in gitignore's form; they come last and so win. */
  readonly exclude: readonly string[];
}

export interface IgnoreRule {
  readonly negated: boolean;
  readonly directoriesOnly: boolean;
  /** Matches against the last name only, at any depth. */
  readonly byName: boolean;
  readonly matches: (path: string) => boolean;
}

const MATCH_OPTIONS = {
  dot: true,
  nobrace: true,
  noext: true,
  nocomment: true,
  nonegate: true,
  optimizationLevel: 1,
  platform: 'linux',
} as const;

/** One line of an ignore file; undefined when it holds no rule. */
export function parseRule(line: string): IgnoreRule | undefined {
  let pattern = line.replace(/\r$/, '').replace(/(?<!\\)\s+$/, '');
  if (pattern === '' || pattern.startsWith('#')) return undefined;
  const negated = pattern.startsWith('!');
  if (negated) pattern = pattern.slice(1);
  const directoriesOnly = pattern.endsWith('/');
  if (directoriesOnly) pattern = pattern.slice(0, -1);
  const byName = !pattern.includes('/');
  if (pattern.startsWith('/')) pattern = pattern.slice(1);
  if (pattern === '') return undefined;
  return { negated, directoriesOnly, byName, matches: matcher(pattern) };
}

/** Most rules are plain names or `*.ext`; these need no pattern machine. */
function matcher(pattern: string): (path: string) => boolean {
  if (!/[*?[\\]/.test(pattern)) return path => path === pattern;
  const suffix = /^\*(\.[\w.-]+)$/.exec(pattern)?.[1];
  if (suffix !== undefined) return path => path.endsWith(suffix) && !path.includes('/');
  const compiled = new Minimatch(pattern, MATCH_OPTIONS);
  return path => compiled.match(path);
}

/** `text` has a character a byte, as names have: git matches bytes. */
export function parseRules(text: BytePath): IgnoreRule[] {
  return text
    .replace(/^\xef\xbb\xbf/, '')
    .split('\n')
    .map(parseRule)
    .filter(rule => rule !== undefined);
}

/** Rules that hold from one folder down. */
interface Scope {
  /** The folder, relative, `''` for the root. */
  readonly folder: string;
  readonly rules: readonly IgnoreRule[];
}

/**
 * What a synced folder leaves out. Immutable: going down into a folder gives the excludes that hold there, so that a walk
 * carries them along and never asks about a path whose parent is excluded already (which git does not either).
 */
export class Excludes {
  readonly #options: ExcludeOptions;
  readonly #first: readonly IgnoreRule[];
  readonly #gitignore: readonly Scope[];
  readonly #coppiceignore: readonly Scope[];
  readonly #last: readonly IgnoreRule[];

  private constructor(
    options: ExcludeOptions,
    first: readonly IgnoreRule[],
    gitignore: readonly Scope[],
    coppiceignore: readonly Scope[],
    last: readonly IgnoreRule[],
  ) {
    this.#options = options;
    this.#first = first;
    this.#gitignore = gitignore;
    this.#coppiceignore = coppiceignore;
    this.#last = last;
  }

  static root(options: ExcludeOptions): Excludes {
    return new Excludes(
      options,
      options.defaults ? parseRules(DEFAULT_EXCLUDES.join('\n')) : [],
      [],
      [],
      parseRules(fromText(options.exclude.join('\n'))),
    );
  }

  /** Which ignore files are worth reading in a folder. */
  get files(): readonly IgnoreFile[] {
    return this.#options.gitignore ? IGNORE_FILES : ['.coppiceignore'];
  }

  /** The excludes inside a folder, given what its ignore files say. */
  inside(folder: BytePath, texts: { readonly [File in IgnoreFile]?: BytePath }): Excludes {
    const scope = (text: string | undefined): Scope[] =>
      text === undefined ? [] : [{ folder, rules: parseRules(text) }];
    const git = this.#options.gitignore ? scope(texts['.gitignore']) : [];
    const own = scope(texts['.coppiceignore']);
    if (git.length + own.length === 0) return this;
    return new Excludes(
      this.#options,
      this.#first,
      [...this.#gitignore, ...git],
      [...this.#coppiceignore, ...own],
      this.#last,
    );
  }

  /** `path` is relative to the root, with `/`; its parents are not excluded. */
  excludes(path: BytePath, directory: boolean): boolean {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return (
      verdict(this.#last, path, name, directory) ??
      scoped(this.#coppiceignore, path, name, directory) ??
      scoped(this.#gitignore, path, name, directory) ??
      verdict(this.#first, path, name, directory) ??
      false
    );
  }
}

function scoped(scopes: readonly Scope[], path: string, name: string, directory: boolean): boolean | undefined {
  for (let index = scopes.length - 1; index >= 0; index--) {
    const { folder, rules } = scopes[index]!;
    const found = verdict(rules, folder === '' ? path : path.slice(folder.length + 1), name, directory);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The last rule that matches decides; undefined when none does. */
function verdict(rules: readonly IgnoreRule[], path: string, name: string, directory: boolean): boolean | undefined {
  for (let index = rules.length - 1; index >= 0; index--) {
    const rule = rules[index]!;
    if (rule.directoriesOnly && !directory) continue;
    if (rule.matches(rule.byName ? name : path)) return !rule.negated;
  }
  return undefined;
}

import type { AnyCommand, Completes, Option, Options } from './command.ts';
import { commonOptions } from './parseLine.ts';

export interface Candidate {
  readonly value: string;
  readonly help?: string;
}

/** What may stand at the end of a line: words, or a kind of thing that must be asked for. */
export type Completion =
  | { readonly kind: 'words'; readonly words: readonly Candidate[]; readonly prefix: string }
  | { readonly kind: 'things'; readonly things: Completes; readonly prefix: string; readonly lead: string }
  | { readonly kind: 'nothing' };

/** Reads an unfinished line by the commands' declarations. */
export function completeLine(line: string, commands: readonly AnyCommand[]): Completion {
  const words = splitWords(line);
  const current = words.pop() ?? '';
  const [name, ...before] = words.slice(1);
  const visible = commands.filter(command => !command.hidden);
  if (name === undefined)
    return matching(
      visible.map(command => ({ value: command.name, help: command.summary })),
      current,
    );
  const command = visible.find(candidate => candidate.name === name);
  if (!command) return { kind: 'nothing' };
  return completeFor(command, before, current);
}

function completeFor(command: AnyCommand, before: readonly string[], current: string): Completion {
  const options: Options = { ...command.options, ...commonOptions };
  if (before.includes('--')) return { kind: 'things', things: 'file', prefix: current, lead: '' };
  const waiting = optionNamed(options, before.at(-1));
  if (waiting?.value !== undefined) return things(waiting.completes, current, '');
  const [, lead, prefix] = /^(--[^=]+=)(.*)$/s.exec(current) ?? [];
  if (lead !== undefined) return things(optionNamed(options, lead.slice(0, -1))?.completes, prefix!, lead);
  if (current.startsWith('-')) return matching(optionCandidates(options), current);
  const position = countWords(options, before);
  const argument = command.arguments?.[position] ?? command.arguments?.findLast(candidate => candidate.many);
  return things(argument?.completes, current, '');
}

function things(what: Completes | undefined, prefix: string, lead: string): Completion {
  if (what === undefined) return { kind: 'nothing' };
  if (typeof what === 'string') return { kind: 'things', things: what, prefix, lead };
  return matching(
    what.map(value => ({ value: lead + value })),
    lead + prefix,
  );
}

const matching = (words: readonly Candidate[], prefix: string): Completion => ({
  kind: 'words',
  words: words.filter(word => word.value.startsWith(prefix)),
  prefix,
});

const optionCandidates = (options: Options): readonly Candidate[] =>
  Object.entries(options).map(([name, option]) => ({ value: `--${name}`, help: option.help }));

function optionNamed(options: Options, word: string | undefined): Option | undefined {
  if (word?.startsWith('--')) return options[word.slice(2)];
  if (word === undefined || !/^-[a-zA-Z]$/.test(word)) return undefined;
  return Object.values(options).find(option => option.short === word.slice(1));
}

function countWords(options: Options, before: readonly string[]): number {
  let count = 0;
  let skip = false;
  for (const word of before) {
    if (skip) skip = false;
    else if (word.startsWith('-') && word !== '-') skip = optionNamed(options, word)?.value !== undefined;
    else count++;
  }
  return count;
}

/** Words as a shell sees them; the last one may be unfinished, and is empty after a space. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  let started = false;
  for (let index = 0; index < line.length; index++) {
    const character = line[index]!;
    if (quote !== '') {
      if (character === quote) quote = '';
      else word += character;
    } else if (character === '\\') word += line[++index] ?? '';
    else if (character === '"' || character === "'") {
      quote = character;
      started = true;
    } else if (/\s/.test(character)) {
      if (word !== '' || started) words.push(word);
      word = '';
      started = false;
    } else word += character;
  }
  return [...words, word];
}

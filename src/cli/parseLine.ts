import { parseArgs } from 'node:util';
import { closest } from './closest.ts';
import type { AnyCommand, Line, Options, OptionValues } from './command.ts';
import { UsageError } from './usageError.ts';

/** Options that every command has. */
export const commonOptions = {
  json: { help: 'Print one JSON document instead of text' },
  help: { short: 'h', help: 'Show this help' },
} as const satisfies Options;

export interface ParsedLine {
  readonly line: Line<Options>;
  readonly json: boolean;
  readonly help: boolean;
}

/** Reads the words after the command's name by its declaration. Whatever is wrong is a UsageError. */
export function parseLine(command: AnyCommand, words: readonly string[]): ParsedLine {
  const options: Options = { ...command.options, ...commonOptions };
  const { mine, after } = splitAtDashes(words);
  const { values, positionals } = readOptions(command, options, mine);
  const { json, help, ...own } = values;
  if (help !== true) checkWords(command, positionals, after);
  return {
    line: { options: withDefaults(command.options, own), words: positionals, after },
    json: json === true,
    help: help === true,
  };
}

function splitAtDashes(words: readonly string[]): { mine: string[]; after: string[] | undefined } {
  const at = words.indexOf('--');
  return at < 0 ? { mine: [...words], after: undefined } : { mine: words.slice(0, at), after: words.slice(at + 1) };
}

type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

function readOptions(
  command: AnyCommand,
  options: Options,
  words: string[],
): { values: Values; positionals: string[] } {
  try {
    return parseArgs({
      args: words,
      strict: true,
      allowPositionals: true,
      options: Object.fromEntries(
        Object.entries(options).map(([name, option]) => [
          name,
          {
            type: option.value === undefined ? ('boolean' as const) : ('string' as const),
            ...(option.short === undefined ? {} : { short: option.short }),
            ...(option.multiple ? { multiple: true } : {}),
          },
        ]),
      ),
    });
  } catch (error) {
    throw new UsageError(readable(error as NodeJS.ErrnoException, options), command.name);
  }
}

function readable(error: NodeJS.ErrnoException, options: Options): string {
  const name = /'(?:-\w, )?(-[^' ]*)/.exec(error.message)?.[1] ?? '';
  if (error.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const near = closest(name.replace(/^-+/, ''), Object.keys(options));
    return `there is no option ${name}${near === undefined ? '' : `, did you mean --${near}?`}`;
  }
  if (/does not take an argument/.test(error.message)) return `${name} takes no value`;
  if (/is ambiguous/.test(error.message)) return `${name} needs a value; one that begins with - is written ${name}=-…`;
  if (/argument missing/.test(error.message)) return `${name} needs a value`;
  return error.message;
}

function checkWords(command: AnyCommand, words: readonly string[], after: readonly string[] | undefined): void {
  const declared = command.arguments ?? [];
  const missing = declared.find((argument, index) => !argument.optional && words.length <= index);
  if (missing) throw new UsageError(`${missing.name} is missing`, command.name);
  const extra = words[declared.length];
  if (extra !== undefined && !declared.some(argument => argument.many)) {
    const hint = command.program ? `; the program goes after --, as in: coppice ${command.name} -- ${extra}` : '';
    throw new UsageError(`${JSON.stringify(extra)} is one word too many${hint}`, command.name);
  }
  if (after !== undefined && !command.program)
    throw new UsageError(`${command.name} runs nothing after --`, command.name);
}

function withDefaults(options: Options, values: Values): OptionValues<Options> {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => [
      name,
      values[name] ?? (option.multiple ? [] : option.value === undefined ? false : undefined),
    ]),
  ) as OptionValues<Options>;
}

/** A number given as an option; what is no number is said with the option's name. */
export function numberOption(command: string, name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value))
    throw new UsageError(`--${name} is not a number: ${text}`, command);
  return value;
}

/** `NAME=VALUE` options as a record. */
export function pairsOption(command: string, name: string, pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`--${name} wants NAME=VALUE, not ${JSON.stringify(pair)}`, command);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

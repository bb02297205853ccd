import type { EngineClient } from '../client/engineClient.ts';
import type { Interrupts } from './interrupts.ts';
import type { Terminal } from './terminal.ts';

/** What completes a word: a kind of thing the engine knows, files of this machine, or fixed words. */
export type Completes =
  | 'image'
  | 'tag'
  | 'operation'
  | 'branch'
  | 'sandbox'
  | 'state'
  | 'file'
  | 'folder'
  | 'command'
  | readonly string[];

export interface Option {
  readonly short?: string;
  /** What its value is called in help; without one it is a switch. */
  readonly value?: string;
  readonly multiple?: true;
  readonly help: string;
  readonly completes?: Completes;
}
export type Options = { readonly [name: string]: Option };

export interface Argument {
  readonly name: string;
  readonly help: string;
  readonly optional?: boolean;
  /** Takes all that follows. */
  readonly many?: boolean;
  readonly completes?: Completes;
}

export type OptionValues<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends { readonly multiple: true }
    ? readonly string[]
    : O[Name] extends { readonly value: string }
      ? string | undefined
      : boolean;
};

/** A command line, read by its command's declaration. */
export interface Line<O extends Options> {
  readonly options: OptionValues<O>;
  readonly words: readonly string[];
  /** What stood after `--`; undefined without one. */
  readonly after: readonly string[] | undefined;
}

export type Group = 'Run' | 'Images' | 'Files' | 'Operations' | 'Branches' | 'Sandboxes' | 'Coppice';

/** One command, declared: parsing, help and completion are made from this. */
export interface Command<O extends Options = Options> {
  readonly name: string;
  readonly group: Group;
  /** One line, a verb first. */
  readonly summary: string;
  /** Paragraphs that teach. */
  readonly description?: string;
  readonly arguments?: readonly Argument[];
  /** The words after `--` are a program and its arguments, passed on as they are. */
  readonly program?: boolean;
  readonly options: O;
  readonly examples?: readonly (readonly [line: string, meaning: string])[];
  /** Failures that keep the user's command from running are 125, not 1. */
  readonly runsCommands?: boolean;
  /** Not for people. */
  readonly hidden?: boolean;
  run(context: Context, line: Line<O>): Promise<number>;
}

/** Everything a command may reach. */
export interface Context {
  readonly terminal: Terminal;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  readonly engineScript: string;
  /** The agents' server is a surface of its own: loaded when asked for, never imported. */
  readonly mcpModule: string;
  /** What ships beside the programs: guides and skills. */
  readonly mediaFolder: string;
  readonly stdin: NodeJS.ReadStream;
  readonly interrupts: Interrupts;
  readonly json: boolean;
  readonly commands: readonly AnyCommand[];
  /** The engine, started when there is none, with `env` over this program's own. Every call gets the same connection. */
  connect(env?: NodeJS.ProcessEnv): Promise<EngineClient>;
  /** The engine if it runs already. */
  connectIfRunning(): Promise<EngineClient | undefined>;
}

// A command is called only with lines that its own options were read from.
// biome-ignore lint/suspicious/noExplicitAny: the options' type is known inside the command alone
export type AnyCommand = Command<any>;

export function defineCommand<const O extends Options>(command: Command<O>): Command<O> {
  return command;
}

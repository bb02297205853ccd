import type { OperationRef } from './operationRef.ts';
import { type ExecOptions, Process, type ProcessParts } from './process.ts';
import type { StreamReader } from './streamReader.ts';

export interface TerminalSize {
  readonly cols?: number;
  readonly rows?: number;
}

export interface ShellOptions extends TerminalSize, Pick<ExecOptions, 'cwd' | 'env' | 'user' | 'timeoutMs' | 'signal'> {
  /** Instead of the image's shell. */
  readonly command?: readonly string[];
}

/** The best shell the image has. */
const SHELL = ['/bin/sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash -i; else exec sh -i; fi'];
/** @internal */
export const SHELL_OPTIONS = ['cols', 'rows', 'cwd', 'env', 'user', 'timeoutMs', 'signal', 'command'];
const COLUMNS = 80;
const ROWS = 24;

/** A process on a terminal: what it shows is `output`, what is typed goes to `stdin`. */
export class Shell extends Process {
  /** Escape sequences and all; take it by `.chunks()`. */
  get output(): StreamReader {
    return this.stdout;
  }

  resize({ cols = COLUMNS, rows = ROWS }: TerminalSize): OperationRef<void> {
    return this.resizeTerminal(cols, rows);
  }
}

/** @internal */
export function shellParts(
  about: Pick<ProcessParts, 'link' | 'sandboxId' | 'processId'>,
  { command = SHELL, cols = COLUMNS, rows = ROWS, ...options }: ShellOptions,
): ProcessParts {
  return { ...about, command, options: { ...options, stdin: true }, terminal: { cols, rows } };
}

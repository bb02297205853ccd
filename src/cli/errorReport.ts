import { CoppiceError, toWireError, type WireError } from '../protocol/errors.ts';
import { printable } from '../verbs/wording.ts';
import type { AnyCommand } from './command.ts';
import { EXIT, exitCodeOfError } from './exitCode.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usageError.ts';

/** Says what went wrong and the next step in one line on stderr, as JSON when asked for, and answers the exit code. */
export function reportError(
  error: unknown,
  command: AnyCommand | undefined,
  json: boolean,
  terminal: Terminal,
  interrupted: boolean,
): number {
  if (interrupted && !(error instanceof UsageError)) return EXIT.cancelled;
  const wire = error instanceof UsageError ? usageAsWire(error) : inWordsOfTheLine(toWireError(error), command);
  terminal.err.line(
    json ? JSON.stringify({ error: wire }) : `${terminal.err.style('red', 'coppice:')} ${errorLine(wire)}`,
  );
  if (!(error instanceof CoppiceError || error instanceof UsageError) && process.env.COPPICE_DEBUG) {
    terminal.err.line(String(error instanceof Error ? error.stack : error));
  }
  const code = exitCodeOfError(wire.code);
  return code === EXIT.failed && command?.runsCommands ? EXIT.trouble : code;
}

/** `what happened. The next step.` */
export function errorLine(error: { readonly message: string; readonly fix?: string | undefined }): string {
  const parts = [error.message, ...(error.fix === undefined ? [] : [error.fix])];
  return parts
    .map(part =>
      printable(
        part
          .trim()
          .replace(/\s*\n\s*/g, ' ')
          .replace(/[.]?$/, '.'),
      ),
    )
    .join(' ');
}

function usageAsWire(error: UsageError): WireError {
  return {
    code: 'invalid_input',
    message: error.message,
    fix: `See coppice help${error.command === undefined ? '' : ` ${error.command}`}.`,
  };
}

/** The engine names the field at fault; people wrote an option. */
function inWordsOfTheLine(error: WireError, command: AnyCommand | undefined): WireError {
  const name = error.field?.split('.').find(part => command !== undefined && Object.hasOwn(command.options, part));
  if (name === undefined || error.field === undefined || !error.message.startsWith(`${error.field}:`)) return error;
  return { ...error, message: `--${name}${error.message.slice(error.field.length)}` };
}

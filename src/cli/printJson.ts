import type { Context } from './command.ts';

/** `--json`: one document on stdout, the verb's own result. */
export function printJson(context: Pick<Context, 'terminal'>, document: unknown): void {
  context.terminal.out.line(JSON.stringify(document, undefined, 2));
}

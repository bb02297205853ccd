import type { EngineClient } from '../client/engineClient.ts';
import { followProcess, newProcessId } from '../client/followProcess.ts';
import type { ProcessView } from '../protocol/schemas/sandboxes.ts';
import type { VerbInput } from '../protocol/verbs.ts';
import type { Context } from './command.ts';
import { UsageError } from './usageError.ts';

type TerminalCommand = Omit<VerbInput<'exec'>, 'tty' | 'stdin' | 'wait'>;

/** Hands this terminal to a process in a sandbox until it ends: every key goes there, Ctrl-C too, and its size follows. */
export async function runInTerminal(
  context: Context,
  client: EngineClient,
  command: TerminalCommand,
): Promise<ProcessView> {
  const { stdin } = context;
  if (!stdin.isTTY) throw new UsageError('this needs a terminal; for piped input use --stdin');
  const id = newProcessId();
  const resized = () => void client.call('resize', { process_id: id, ...terminalSize() }).catch(() => undefined); // It may have ended by itself.
  stdin.setRawMode(true);
  process.stdout.on('resize', resized);
  try {
    return await followProcess(
      client,
      {
        ...command,
        process_id: id,
        env: { TERM: context.env.TERM ?? 'xterm-256color', ...command.env },
        tty: terminalSize(),
        stdin: 'open',
      },
      { write: (_stream, bytes) => context.terminal.out.write(bytes) },
      () => void sendInput(client, id, stdin),
    );
  } finally {
    process.stdout.off('resize', resized);
    stdin.setRawMode(false);
    stdin.pause();
  }
}

/** Passes bytes on in their order; the process sees the end of its input when ours ends. */
export async function sendInput(client: EngineClient, id: string, input: NodeJS.ReadStream): Promise<void> {
  try {
    for await (const bytes of input as AsyncIterable<Buffer>)
      await client.call('write_stdin', { process_id: id, data: Buffer.from(bytes).toString('base64') });
    await client.call('write_stdin', { process_id: id, close: true });
  } catch {
    // The process has ended, or nobody reads: how it ended is what wait_process says.
  }
}

function terminalSize(): { readonly cols: number; readonly rows: number } {
  return { cols: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
}

import type { EngineClient } from '../../client/engineClient.ts';
import { followProcess, newProcessId } from '../../client/followProcess.ts';
import type { ProcessView } from '../../protocol/schemas/sandboxes.ts';
import { defineCommand } from '../command.ts';
import { EXIT, exitCodeOfProcess } from '../exitCode.ts';
import { numberOption, pairsOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { fullSandboxId } from '../references.ts';
import { runInTerminal, sendInput } from '../terminalSession.ts';
import { UsageError } from '../usageError.ts';

export const exec = defineCommand({
  name: 'exec',
  group: 'Sandboxes',
  summary: 'Run a command in a live sandbox',
  description: 'The exit code is the command’s. Ctrl-C ends the command, the sandbox goes on.',
  arguments: [{ name: 'SANDBOX', help: 'sb-… or its beginning', completes: 'sandbox' }],
  program: true,
  options: {
    command: { short: 'c', value: 'LINE', help: 'A line for /bin/sh, instead of PROGRAM' },
    tty: { short: 't', help: 'With a terminal, for programs that draw' },
    stdin: { short: 'i', help: 'Pass on what is piped in' },
    env: { short: 'e', value: 'NAME=VALUE', multiple: true, help: 'Environment variable' },
    cwd: { short: 'w', value: 'PATH', help: 'Working directory inside' },
    user: { short: 'u', value: 'USER', help: 'User inside' },
    timeout: { value: 'SECONDS', help: 'Kill it after so long (default: never)' },
  },
  examples: [['coppice exec sb-1a2b3c4d -- python3 -c "print(1 + 1)"', 'one more process in it']],
  runsCommands: true,
  run: async (context, { words: [reference = ''], options, after = [] }) => {
    const command = options.command === undefined ? [...after] : ['/bin/sh', '-c', options.command, 'sh', ...after];
    if (command.length === 0) throw new UsageError('nothing to run: give -- PROGRAM ARGS…, or -c LINE', 'exec');
    const timeout = numberOption('exec', 'timeout', options.timeout);
    const client = await context.connect();
    const input = {
      sandbox_id: await fullSandboxId(client, reference),
      command,
      env: pairsOption('exec', 'env', options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.user === undefined ? {} : { user: options.user }),
      ...(timeout === undefined ? {} : { timeout }),
    };
    if (options.tty) return exitCodeOfProcess(await runInTerminal(context, client, input));
    const process_id = newProcessId();
    const kill = () => void client.call('kill_process', { process_id, signal: 'SIGINT' }).catch(() => undefined); // It may have ended by itself.
    const ended = await context.interrupts.during(kill, () =>
      followProcess(
        client,
        { ...input, process_id, stdin: options.stdin ? 'open' : 'none' },
        {
          write: (stream, bytes) => {
            if (!context.json) context.terminal[stream === 'stdout' ? 'out' : 'err'].write(bytes);
          },
        },
        () => {
          if (options.stdin) void sendInput(client, process_id, context.stdin);
        },
      ),
    );
    if (context.json) printJson(context, await withOutput(client, ended));
    return context.interrupts.signal.aborted ? EXIT.cancelled : exitCodeOfProcess(ended);
  },
});

async function withOutput(client: EngineClient, process: ProcessView): Promise<object> {
  const read = async (stream: 'stdout' | 'stderr') =>
    (await client.call('read_output', { operation_id: process.process_id, stream, length: 16_777_216 })).text;
  return { ...process, stdout: await read('stdout'), stderr: await read('stderr') };
}

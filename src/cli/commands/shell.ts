import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { exitCodeOfProcess } from '../exitCode.ts';
import { runInTerminal } from '../terminalSession.ts';
import { UsageError } from '../usageError.ts';
import { executionInput, executionOptions, laidOver } from './run.ts';

/** The best shell the image has. */
const SHELL = ['/bin/sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash -i; else exec sh -i; fi'];

export const shell = defineCommand({
  name: 'shell',
  group: 'Run',
  summary: 'Open a shell in a fresh sandbox',
  description: 'What you change is thrown away when you leave, unless --keep or --tag makes an image of it.',
  program: true,
  options: {
    ...executionOptions,
    keep: { short: 'k', help: 'Keep what was changed as a new image' },
    tag: { short: 't', value: 'TAG', help: 'Name the kept image (implies --keep)' },
  },
  examples: [['coppice shell -i deps -t deps2', 'look around, change things, keep them as deps2']],
  runsCommands: true,
  run: async (context, { options, after = [] }) => {
    if (!context.stdin.isTTY) throw new UsageError('a shell needs a terminal; for scripts use coppice run', 'shell');
    const client = await context.connect();
    const laid = await laidOver(context, client, 'shell', options);
    const input = executionInput(context, 'shell', options);
    const { sandbox_id } = await client.call('create_sandbox', {
      ...laid,
      ...input,
      workspace: context.cwd,
    });
    const { err } = context.terminal;
    try {
      const ended = await runInTerminal(context, client, {
        sandbox_id,
        command: after.length > 0 ? [...after] : SHELL,
        env: { ...input.env, ...input.secrets },
        ...(laid.cwd === undefined ? {} : { cwd: laid.cwd }),
        ...(input.cwd === undefined ? {} : { cwd: input.cwd }),
        ...(options.user === undefined ? {} : { user: options.user }),
      });
      if (options.keep || options.tag !== undefined) {
        const kept = await client.call('snapshot', {
          sandbox_id,
          ...(options.tag === undefined ? {} : { tag: options.tag }),
        });
        const name = options.tag === undefined ? '' : ` as ${options.tag}`;
        err.line(err.style('dim', kept.filesystem_changed ? `kept ${shortId(kept.image)}${name}` : 'nothing changed'));
      } else err.line(err.style('dim', 'left; changes were thrown away (--keep keeps them)'));
      return exitCodeOfProcess(ended);
    } finally {
      await client.call('stop_sandbox', { sandbox_id });
    }
  },
});

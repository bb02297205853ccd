import type { BranchResult } from '../../protocol/schemas/branches.ts';
import { humanAge, plural, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import type { Channel } from '../terminal.ts';
import { UsageError } from '../usageError.ts';

export const branch = defineCommand({
  name: 'branch',
  group: 'Branches',
  summary: 'Make, move, show or remove a branch',
  description:
    'A branch is a named pointer to an image; kept runs that start from it and succeed move it on. With IMAGE it is\n' +
    'put there; a new one without IMAGE starts at the head. An existing one without IMAGE is shown with its history.',
  arguments: [
    { name: 'NAME', help: 'The branch', completes: 'branch' },
    { name: 'IMAGE', help: 'Where it shall point', optional: true, completes: 'image' },
  ],
  options: { remove: { help: 'Remove the pointer; images stay' } },
  run: async (context, { words: [name = '', image], options }) => {
    if (options.remove && image !== undefined) throw new UsageError('--remove takes no IMAGE', 'branch');
    const client = await context.connect();
    const result = await client.call('branch', {
      name,
      ...(image === undefined ? {} : { image }),
      remove: options.remove,
      workspace: context.cwd,
    });
    const { out } = context.terminal;
    if (context.json) printJson(context, result);
    else if (options.remove) out.line(`${out.style('magenta', name)}  removed; it was at ${shortId(result.head)}`);
    else for (const line of historyLines(result, out)) out.line(line);
    return EXIT.ok;
  },
});

const SHOWN = 10;

/** The newest steps, the current one marked; those above it can be gone forward to. */
export function historyLines(branch: BranchResult, channel: Channel): readonly string[] {
  const newestFirst = [...branch.history].reverse();
  const from = Math.max(0, newestFirst.findIndex(step => step.current) - 3);
  const shown = newestFirst.slice(from, from + SHOWN);
  const lines = shown.map(step => {
    const text = `${step.current ? '◉' : '○'} ${shortId(step.image)}  ${humanAge(step.at).padEnd(10)}  ${step.operation_id === null ? '' : shortId(step.operation_id)}`;
    return step.current ? channel.style('bold', text.trimEnd()) : text.trimEnd();
  });
  const hidden = branch.history.length - shown.length;
  return [
    `${channel.style('magenta', branch.name)}  at ${channel.style('cyan', shortId(branch.head))}`,
    ...lines,
    ...(hidden > 0 ? [channel.style('dim', `${plural(hidden, 'step')} more: --json`)] : []),
  ];
}

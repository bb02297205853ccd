import { humanSize, plural } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { UsageError } from '../usageError.ts';
import { removalTable } from './rm.ts';

export const prune = defineCommand({
  name: 'prune',
  group: 'Images',
  summary: 'Remove images that were not used for a while',
  description:
    'Never removes what a tag, a branch or a kept image needs. Shows what would go and asks; --yes does not ask.',
  options: {
    'unused-for': { value: 'TIME', help: 'As 12h, 30d or 0 (default 14d)' },
    tagged: { help: 'Tagged images too' },
    'dry-run': { short: 'n', help: 'Only show what would go' },
    yes: { short: 'y', help: 'Do not ask' },
  },
  run: async (context, { options }) => {
    const policy = {
      ...(options['unused-for'] === undefined ? {} : { unused_for: seconds(options['unused-for']) }),
      keep_tagged: !options.tagged,
    };
    const client = await context.connect();
    const { out, err, interactive } = context.terminal;
    const mayAsk = !context.json && interactive;
    if (!options['dry-run'] && !options.yes && !mayAsk)
      throw new UsageError('nobody is there to be asked: give --yes, or --dry-run', 'prune');
    if (!options.yes || options['dry-run']) {
      const preview = await client.call('prune', { ...policy, dry_run: true });
      if (context.json) printJson(context, preview);
      else if (preview.removed.length === 0) err.line('Nothing to remove.');
      else for (const line of removalTable(preview.removed, out)) out.line(line);
      if (options['dry-run'] || preview.removed.length === 0) return EXIT.ok;
      const question = `Remove ${plural(preview.removed.length, 'image')}, ${humanSize(preview.freed_bytes)}?`;
      if (!(await context.terminal.confirm(question))) return EXIT.failed;
    }
    const result = await client.call('prune', { ...policy, dry_run: false });
    if (context.json) printJson(context, result);
    else {
      if (options.yes && result.removed.length > 0)
        for (const line of removalTable(result.removed, out)) out.line(line);
      err.line(
        err.style('dim', `${plural(result.removed.length, 'image')} removed, ${humanSize(result.freed_bytes)} freed`),
      );
    }
    return EXIT.ok;
  },
});

const UNITS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 };

export function seconds(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)?$/.exec(text.trim()) ?? [];
  if (amount === undefined) throw new UsageError(`--unused-for is a time, as 12h or 30d, not ${text}`, 'prune');
  return Number(amount) * UNITS[unit]!;
}

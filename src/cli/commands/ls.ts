import type { FileEntry } from '../../protocol/schemas/files.ts';
import { modeText } from '../../verbs/files.ts';
import { humanSize, plural, printable } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { placeInImage } from '../imagePath.ts';
import { printJson } from '../printJson.ts';
import { tableLines } from '../table.ts';
import type { Channel } from '../terminal.ts';

export const ls = defineCommand({
  name: 'ls',
  group: 'Files',
  summary: 'List a folder of an image',
  description: 'Nothing is started for it. The path is in the same word (deps:/opt) or the next one (deps /opt).',
  arguments: [
    { name: 'IMAGE[:/PATH]', help: 'The image and the folder in it', completes: 'image' },
    { name: '/PATH', help: 'The folder (default: /)', optional: true },
  ],
  options: { long: { short: 'l', help: 'With modes, owners, sizes and times' } },
  run: async (context, { words, options }) => {
    const client = await context.connect();
    const result = await client.call('list_files', { ...placeInImage('ls', words, '/'), limit: 100_000 });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (options.long && result.entries.length > 0)
      for (const line of longLines(result.entries, out)) out.line(line);
    else for (const entry of result.entries) out.line(nameText(entry, out));
    const rest = result.total - result.entries.length;
    if (!context.json && rest > 0) err.line(err.style('dim', `${plural(rest, 'entry', 'entries')} more`));
    return EXIT.ok;
  },
});

function longLines(entries: readonly FileEntry[], channel: Channel): readonly string[] {
  return tableLines(
    [
      { title: 'MODE' },
      { title: 'OWNER' },
      { title: 'SIZE', align: 'right' },
      { title: 'MODIFIED' },
      { title: 'NAME', flexible: true },
    ],
    entries.map(entry => [
      modeText(entry),
      `${entry.uid}:${entry.gid}`,
      entry.type === 'file' ? humanSize(entry.size) : '',
      entry.mtime.slice(0, 16).replace('T', ' '),
      nameText(entry, channel) + (entry.link === null ? '' : ` → ${printable(entry.link)}`),
    ]),
    channel,
  );
}

function nameText(entry: FileEntry, channel: Channel): string {
  const name = printable(entry.name);
  if (entry.type === 'directory') return channel.style('blue', `${name}/`);
  if (entry.type === 'link') return channel.style('cyan', name);
  return entry.mode & 0o111 ? channel.style('green', name) : name;
}

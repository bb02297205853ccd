import type { DiffEntry } from '../../protocol/schemas/files.ts';
import { humanSize, plural, printable, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import type { Channel } from '../terminal.ts';

export const diff = defineCommand({
  name: 'diff',
  group: 'Files',
  summary: 'Show what an image changed',
  description: 'Against its parent, or against any other image. A added, M modified, D deleted.',
  arguments: [
    { name: 'IMAGE', help: 'The image', completes: 'image' },
    { name: 'AGAINST', help: 'Another image (default: the parent)', optional: true, completes: 'image' },
  ],
  options: {
    path: { value: 'PATH', help: 'Only below this path' },
    text: { short: 'p', help: 'With the lines that changed in text files' },
  },
  run: async (context, { words: [image = '', against], options }) => {
    const client = await context.connect();
    const result = await client.call('diff', {
      image,
      ...(against === undefined ? {} : { against }),
      ...(options.path === undefined ? {} : { path: options.path }),
      text: options.text,
    });
    const { out, err } = context.terminal;
    if (context.json) {
      printJson(context, result);
      return EXIT.ok;
    }
    for (const entry of result.entries) for (const line of entryLines(entry, out)) out.line(line);
    const other = result.against === null ? '' : ` against ${shortId(result.against)}`;
    const more = result.total > result.entries.length ? `, ${result.entries.length.toLocaleString('en')} shown` : '';
    err.line(
      err.style(
        'dim',
        result.total === 0
          ? `no difference${other}`
          : `${plural(result.total, 'change')}${other}${more}, ${humanSize(result.added_bytes)} written`,
      ),
    );
    return EXIT.ok;
  },
});

const COLOURS = { A: 'green', M: 'yellow', D: 'red' } as const;

function entryLines(entry: DiffEntry, channel: Channel): readonly string[] {
  const name = printable(entry.path) + (entry.type === 'directory' && !entry.path.endsWith('/') ? '/' : '');
  const size = entry.type === 'file' && entry.change !== 'D' ? channel.style('dim', `  ${sizeText(entry)}`) : '';
  const head = `${channel.style(COLOURS[entry.change], entry.change)}  ${name}${size}`;
  return entry.text
    ? [
        head,
        ...entry.text
          .trimEnd()
          .split('\n')
          .map(line => diffLine(line, channel)),
      ]
    : [head];
}

const sizeText = ({ change, size, size_before: before }: DiffEntry): string =>
  change === 'M' && before !== size ? `${humanSize(before)} → ${humanSize(size)}` : humanSize(size);

function diffLine(line: string, channel: Channel): string {
  const text = printable(line.replaceAll('\t', '    '));
  if (/^(\+\+\+|---) /.test(line)) return channel.style('bold', text);
  if (line.startsWith('+')) return channel.style('green', text);
  if (line.startsWith('-')) return channel.style('red', text);
  return line.startsWith('@@') ? channel.style('cyan', text) : text;
}

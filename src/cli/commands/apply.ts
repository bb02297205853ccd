import path from 'node:path';
import { humanSize, plural, printable } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { parseImagePath } from '../imagePath.ts';
import { printJson } from '../printJson.ts';

export const apply = defineCommand({
  name: 'apply',
  group: 'Files',
  summary: 'Bring what changed in a synced folder back to this machine',
  description:
    'Compares three ways with the state the run started from: a file that changed on both sides is a conflict, shown\n' +
    'and left alone. Exit code 1 when there are conflicts.',
  arguments: [
    {
      name: 'IMAGE[:/PATH]',
      help: 'The image, and the folder in it (default: where the folder was synced)',
      completes: 'image',
    },
    { name: 'FILE', help: 'Only these files or folders', optional: true, many: true },
  ],
  options: {
    to: { value: 'FOLDER', help: 'Write here (default: the folder that was synced)', completes: 'folder' },
    'dry-run': { short: 'n', help: 'Only show what would change' },
  },
  examples: [
    ['coppice run -k -t formatted -s . -c "npm run format"; coppice apply -n formatted', 'look before you take it'],
  ],
  run: async (context, { words: [word = '', ...paths], options }) => {
    const client = await context.connect();
    const place = parseImagePath(word);
    const result = await client.call('apply', {
      ...(place ?? { image: word }),
      paths,
      ...(options.to === undefined ? {} : { to: path.resolve(context.cwd, options.to) }),
      dry_run: options['dry-run'],
    });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else {
      for (const { change, path: name, size, type } of result.applied)
        out.line(
          `${out.style(COLOURS[change], change)}  ${printable(name)}${type === 'file' && change !== 'D' ? out.style('dim', `  ${humanSize(size)}`) : ''}`,
        );
      for (const { path: name, reason } of result.conflicts)
        out.line(`${out.style('red', '!')}  ${printable(name)}  ${out.style('red', reason)}`);
      const notes = [
        `${plural(result.applied.length, 'change')} ${result.dry_run ? 'to apply' : 'applied'} to ${result.to}`,
        ...(result.conflicts.length > 0 ? [plural(result.conflicts.length, 'conflict')] : []),
        ...(result.left_out > 0 ? [`${result.left_out} left out by the excludes`] : []),
      ];
      err.line(err.style('dim', notes.join(' · ')));
    }
    return result.conflicts.length > 0 ? EXIT.failed : EXIT.ok;
  },
});

const COLOURS = { A: 'green', M: 'yellow', D: 'red' } as const;

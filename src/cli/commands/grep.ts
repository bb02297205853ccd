import { plural, printable } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { placeInImage } from '../imagePath.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';

export const grep = defineCommand({
  name: 'grep',
  group: 'Files',
  summary: 'Search the files of an image',
  description: 'Exit code 0 when something matches, 1 when nothing does. Nothing is started for it.',
  arguments: [
    { name: 'PATTERN', help: 'A JavaScript regular expression' },
    { name: 'IMAGE[:/PATH]', help: 'The image and the folder in it', completes: 'image' },
    { name: '/PATH', help: 'The folder (default: /)', optional: true },
  ],
  options: {
    glob: { short: 'g', value: 'GLOB', help: 'Only files whose path matches, as **/*.py' },
    'ignore-case': { short: 'i', help: 'Upper and lower case are the same' },
    limit: { short: 'n', value: 'N', help: 'So many matches at most (default 200)' },
  },
  run: async (context, { words: [pattern = '', ...place], options }) => {
    const client = await context.connect();
    const result = await client.call('grep', {
      pattern,
      ...placeInImage('grep', place, '/'),
      ...(options.glob === undefined ? {} : { glob: options.glob }),
      ignore_case: options['ignore-case'],
      max_total: numberOption('grep', 'limit', options.limit) ?? 200,
    });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else {
      for (const match of result.matches)
        out.line(
          `${out.style('magenta', printable(match.path))}:${out.style('green', String(match.line))}:${printable(match.text.replaceAll('\t', '    '))}`,
        );
      if (result.truncated)
        err.line(err.style('dim', `only the first ${plural(result.matches.length, 'match', 'matches')}: --limit`));
    }
    return result.matches.length > 0 ? EXIT.ok : EXIT.failed;
  },
});

import { humanAge, humanSize, oneLine, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { fieldLines } from '../fieldLines.ts';
import { printJson } from '../printJson.ts';
import { fullOperationId } from '../references.ts';
import { operationFields } from './output.ts';

export const inspect = defineCommand({
  name: 'inspect',
  group: 'Images',
  summary: 'Show all about an image or an operation',
  arguments: [{ name: 'ID', help: 'An image reference, or an operation (op-…)', completes: 'image' }],
  options: {},
  run: async (context, { words: [reference = ''] }) => {
    const client = await context.connect();
    const { out } = context.terminal;
    if (reference.startsWith('op-')) {
      const operation = await client.call('get_operation', { operation_id: await fullOperationId(client, reference) });
      if (context.json) printJson(context, operation);
      else for (const line of operationFields(operation, out)) out.line(line);
      return EXIT.ok;
    }
    const image = await client.call('get_image', { image: reference });
    if (context.json) {
      printJson(context, image);
      return EXIT.ok;
    }
    const { config } = image;
    const fields: readonly (readonly [string, string | null])[] = [
      ['image', out.style('cyan', image.uuid)],
      ['tag', image.tag === null ? null : out.style('green', image.tag)],
      ['branches', image.branches.join(' ') || null],
      [
        'made by',
        oneLine(image.title, 200) + (image.operation_id === null ? '' : `  (${shortId(image.operation_id)})`),
      ],
      ['created', `${humanAge(image.created_at)}  (${image.created_at})`],
      ['parent', image.parent],
      ['source', image.parent === null ? image.source : null],
      ['size', `${humanSize(image.size)}, with its ancestors ${humanSize(image.total_size)}`],
      ['depth', String(image.depth)],
      ['digest', image.digest],
      ['runtime', `${image.runtime}, ${config.architecture}`],
      ['cwd', config.cwd || '/'],
      ['user', config.user || 'root'],
      ['entrypoint', config.entrypoint.length > 0 ? JSON.stringify(config.entrypoint) : null],
      ['cmd', config.cmd.length > 0 ? JSON.stringify(config.cmd) : null],
      ...Object.entries(config.env).map(([name, value]) => ['env', `${name}=${value}`] as const),
      ['note', image.drifted ? out.style('yellow', 'drifted: this machine has changed since') : null],
    ];
    for (const line of fieldLines(fields, out)) out.line(line);
    return EXIT.ok;
  },
});

import { statSync } from 'node:fs';
import path from 'node:path';
import { humanSize, plural, printable } from '../../verbs/wording.ts';
import { type Context, defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { type ImagePath, parseImagePath } from '../imagePath.ts';
import { printJson } from '../printJson.ts';
import { ProgressLine } from '../progressLine.ts';
import { UsageError } from '../usageError.ts';

export const cp = defineCommand({
  name: 'cp',
  group: 'Files',
  summary: 'Copy out of an image, or upload a file',
  description:
    'IMAGE:/PATH TO copies a file, a folder or what a glob matches out of an image, atomically. A lone local file is\n' +
    'uploaded, and its UUID printed for the files of a run.',
  arguments: [
    { name: 'FROM', help: 'IMAGE:/PATH, or a local file', completes: 'image' },
    { name: 'TO', help: 'A local file or folder (default: here)', optional: true, completes: 'file' },
  ],
  options: {
    executable: { short: 'x', help: 'Make the copied file executable' },
    'no-overwrite': { help: 'Fail rather than overwrite' },
  },
  examples: [
    ['coppice cp built:/app/target/release/app ./app -x', 'an artifact'],
    ["coppice cp 1f0c22aa:'/out/*.png' ./plots", 'everything a glob matches'],
  ],
  run: async (context, { words: [from = '', to], options }) => {
    const place = parseImagePath(from);
    if (place) return download(context, place, to, options);
    if (to !== undefined)
      throw new UsageError(
        parseImagePath(to)
          ? 'an image does not change; run with --file INSIDE=LOCAL and --keep makes a new one'
          : `${from} is no place in an image, as IMAGE:/PATH`,
        'cp',
      );
    return upload(context, from);
  },
});

async function download(
  context: Context,
  place: ImagePath,
  to: string | undefined,
  options: { readonly executable: boolean; readonly 'no-overwrite': boolean },
): Promise<number> {
  const client = await context.connect();
  const progress = new ProgressLine(context.terminal.err);
  const cancel = new AbortController();
  const result = await context.interrupts.during(
    () => cancel.abort(),
    () =>
      client
        .call(
          'download',
          {
            ...place,
            destination: destinationFor(place.path, to, context.cwd),
            executable: options.executable,
            overwrite: !options['no-overwrite'],
          },
          { signal: cancel.signal, onProgress: progress.show },
        )
        .finally(() => progress.clear()),
  );
  const { out, err } = context.terminal;
  if (context.json) printJson(context, result);
  else {
    const count = result.files === 1 ? '' : `${plural(result.files, 'file')}, `;
    out.line(`${result.destination}  ${out.style('dim', count + humanSize(result.size))}`);
    for (const skipped of result.skipped) err.line(`${err.style('yellow', 'skipped')}  ${printable(skipped)}`);
  }
  return EXIT.ok;
}

/** As cp does: into a folder that is there, else under the name that was given. */
export function destinationFor(inside: string, to: string | undefined, cwd: string): string {
  const destination = path.resolve(cwd, to ?? '.');
  const name = path.posix.basename(inside);
  if (/[*?[\]{}]/.test(inside) || name === '') return destination;
  const isFolder = to?.endsWith('/') || statSync(destination, { throwIfNoEntry: false })?.isDirectory();
  return isFolder ? path.join(destination, name) : destination;
}

async function upload(context: Context, local: string): Promise<number> {
  const client = await context.connect();
  const result = await client.call('upload', { path: path.resolve(context.cwd, local) });
  const { out } = context.terminal;
  if (context.json) printJson(context, result);
  else out.line(`${out.style('cyan', result.uuid)}  ${out.style('dim', humanSize(result.size))}`);
  return EXIT.ok;
}

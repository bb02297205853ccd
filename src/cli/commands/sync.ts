import path from 'node:path';
import type { EngineClient } from '../../client/engineClient.ts';
import type { VerbInput, VerbResult } from '../../protocol/verbs.ts';
import { type Context, defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { ProgressLine } from '../progressLine.ts';
import { defaultDestination, syncLine } from '../syncedFolder.ts';
import { watchFolder } from '../watchFolder.ts';

export const sync = defineCommand({
  name: 'sync',
  group: 'Files',
  summary: 'Take a folder as it is now, to lay it over images in runs',
  description:
    'Prints a directory state, ds-…, for coppice run --state. Only what changed is read. Left out are .git,\n' +
    'node_modules, __pycache__, .venv, target, dist, build and the like, what .gitignore and .coppiceignore name, and\n' +
    'what --exclude adds.',
  arguments: [
    { name: 'FOLDER', help: 'The folder (default: here)', optional: true, completes: 'folder' },
    { name: 'INSIDE', help: 'Where it appears inside (default: /workspace/ and its name)', optional: true },
  ],
  options: {
    exclude: { short: 'x', value: 'PATTERN', multiple: true, help: 'Leave out, as a line of .gitignore' },
    'no-gitignore': { help: 'Take what .gitignore files leave out' },
    'no-default-excludes': { help: 'Take .git, node_modules and the like' },
    owner: { value: 'UID:GID', help: 'Owner inside (default: root)' },
    watch: { short: 'w', help: 'Go on and print every new state, until Ctrl-C' },
  },
  examples: [
    ['DS=$(coppice sync) && coppice run --state $DS -- make test', 'this folder, in a sandbox'],
    ['coppice run -- make test', 'the same in one go'],
    ['coppice sync --watch | while read DS; do coppice run --state $DS -- make test; done', 'at every save'],
  ],
  run: async (context, { words: [folder = '.', inside], options }) => {
    const source = path.resolve(context.cwd, folder);
    const input = {
      source,
      destination: inside ?? defaultDestination(source),
      exclude: [...options.exclude],
      gitignore: !options['no-gitignore'],
      default_excludes: !options['no-default-excludes'],
      ...(options.owner === undefined ? {} : { owner: options.owner }),
    };
    const client = await context.connect();
    if (options.watch) return watchFolder(context, client, input);
    const result = await syncFolder(context, client, input);
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else {
      out.line(result.directory_state_id);
      err.line(err.style('dim', syncLine(result)));
      for (const hint of result.hints) err.line(err.style('dim', hint));
    }
    return EXIT.ok;
  },
});

export async function syncFolder(
  context: Context,
  client: EngineClient,
  input: VerbInput<'rsync'>,
): Promise<VerbResult<'rsync'>> {
  const progress = new ProgressLine(context.terminal.err);
  const cancel = new AbortController();
  return context.interrupts.during(
    () => cancel.abort(),
    () =>
      client.call('rsync', input, { signal: cancel.signal, onProgress: progress.show }).finally(() => progress.clear()),
  );
}

import path from 'node:path';
import type { EngineClient } from '../../client/engineClient.ts';
import type { VerbInput, VerbResult } from '../../protocol/verbs.ts';
import { humanDuration, humanSize, plural } from '../../verbs/wording.ts';
import { type Context, defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { ProgressLine } from '../progressLine.ts';

/** Where a synced folder appears inside when nobody says. */
export const DEFAULT_DESTINATION = '/workspace';

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
    { name: 'INSIDE', help: `Where it appears inside (default: ${DEFAULT_DESTINATION})`, optional: true },
  ],
  options: {
    exclude: { short: 'x', value: 'PATTERN', multiple: true, help: 'Leave out, as a line of .gitignore' },
    'no-gitignore': { help: 'Take what .gitignore files leave out' },
    'no-default-excludes': { help: 'Take .git, node_modules and the like' },
    owner: { value: 'UID:GID', help: 'Owner inside (default: root)' },
  },
  examples: [
    ['DS=$(coppice sync) && coppice run --state $DS -- make test', 'this folder, in a sandbox'],
    ['coppice run -s . -- make test', 'the same in one go'],
  ],
  run: async (context, { words: [folder = '.', inside = DEFAULT_DESTINATION], options }) => {
    const client = await context.connect();
    const result = await syncFolder(context, client, {
      source: path.resolve(context.cwd, folder),
      destination: inside,
      exclude: [...options.exclude],
      gitignore: !options['no-gitignore'],
      default_excludes: !options['no-default-excludes'],
      ...(options.owner === undefined ? {} : { owner: options.owner }),
    });
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

export function syncLine(result: VerbResult<'rsync'>): string {
  const changes = (['added', 'modified', 'deleted'] as const)
    .filter(name => result[name] > 0)
    .map(name => `${result[name].toLocaleString('en')} ${name}`);
  return [
    `${plural(result.files, 'file')}, ${humanSize(result.bytes)}`,
    result.unchanged || changes.length === 0 ? 'unchanged' : changes.join(', '),
    ...(result.skipped > 0
      ? [`${plural(result.skipped, 'socket, device or pipe', 'sockets, devices or pipes')} left out`]
      : []),
    humanDuration(result.duration_ms),
  ].join(' · ');
}

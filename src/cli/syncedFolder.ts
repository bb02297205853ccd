import { statSync } from 'node:fs';
import path from 'node:path';
import type { VerbResult } from '../protocol/verbs.ts';
import { humanDuration, humanSize, plural } from '../verbs/wording.ts';

/** Where a synced folder appears inside when nobody says: as in the editor. */
export function defaultDestination(source: string): string {
  const isFile = statSync(source, { throwIfNoEntry: false })?.isFile() ?? false;
  return path.posix.join('/workspace', isFile ? '' : path.basename(source));
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

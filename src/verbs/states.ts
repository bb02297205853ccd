import { ADDS, READS, type Verbs } from './verb.ts';
import { humanSize, plural } from './wording.ts';

export const stateVerbs: Verbs<'rsync' | 'states' | 'apply'> = {
  rsync: {
    title: 'Sync a folder',
    description:
      'Takes a folder of this machine as it is now and answers with a directory_state_id for `run`. Only what changed is ' +
      'read, and .git, node_modules, build output and the like are left out by default. Sync once, use the id for any ' +
      'number of runs, and sync again only when files have changed.',
    annotations: { ...ADDS, idempotent: true, openWorld: true },
    core: true,
    render: result =>
      [
        result.directory_state_id,
        `${plural(result.files, 'file')}, ${humanSize(result.bytes)}; ${
          result.unchanged
            ? 'unchanged'
            : `${result.added} added, ${result.modified} modified, ${result.deleted} deleted`
        }`,
        ...result.hints.map(hint => `hint: ${hint}`),
      ].join('\n'),
  },
  states: {
    title: 'List directory states',
    description:
      'Directory states made by rsync, newest first: where each came from and where it appears in a sandbox.',
    annotations: READS,
    core: false,
    render: result =>
      result.states.length === 0
        ? 'No directory states yet. Sync a folder with rsync.'
        : result.states
            .map(
              state =>
                `${state.directory_state_id} ${state.source} → ${state.destination} (${plural(state.files, 'file')}, ${humanSize(state.bytes)})`,
            )
            .join('\n'),
  },
  apply: {
    title: 'Bring changes home',
    description:
      'Writes what happened to a synced folder inside an image back to the folder it was synced from. Compared three ways ' +
      'with the state the run started from: a file that changed on both sides is a conflict, listed and left alone. Look ' +
      'first with dry_run:true.',
    annotations: { readOnly: false, destructive: true, idempotent: true, openWorld: true },
    core: true,
    render: result =>
      [
        ...result.applied.map(change => `${change.change} ${change.path}`),
        ...result.conflicts.map(conflict => `! ${conflict.path}: ${conflict.reason}, left alone`),
        `${plural(result.applied.length, 'change')} ${result.dry_run ? 'to apply' : 'applied'} to ${result.to}` +
          (result.conflicts.length > 0 ? `, ${plural(result.conflicts.length, 'conflict')}` : '') +
          (result.left_out > 0 ? `, ${result.left_out} left out by the excludes` : ''),
      ].join('\n'),
  },
};

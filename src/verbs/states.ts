import { ADDS, READS, type Verbs } from './verb.ts';
import { humanSize, plural } from './wording.ts';

export const stateVerbs: Verbs<'rsync' | 'states'> = {
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
        ...result.hints,
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
};

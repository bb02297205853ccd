import { createHash } from 'node:crypto';
import type { DirectoryStateLayer } from '../../runtimes/runtime.ts';
import type { StateRecord, StateStore } from './stateStore.ts';
import type { Sync } from './sync.ts';

/** Directory states in the form that runtimes take them. */
export class StateLayers {
  readonly #states: StateStore;
  readonly #sync: Sync;
  /** The state of each series that was laid last: the next one shares most of its files. */
  readonly #last = new Map<string, StateRecord>();

  constructor(states: StateStore, sync: Sync) {
    this.#states = states;
    this.#sync = sync;
  }

  layer(id: string): DirectoryStateLayer;
  layer(id: string | undefined): DirectoryStateLayer | undefined;
  layer(id: string | undefined): DirectoryStateLayer | undefined {
    if (id === undefined) return undefined;
    const state = this.#states.find(id);
    this.#states.touch(id);
    const series = createHash('sha256').update(`${state.source}\0${state.destination}`).digest('hex').slice(0, 16);
    return {
      id,
      series,
      destination: state.destination,
      layOut: async (folder, options) => {
        const last = this.#last.get(series);
        const lastFolder = last && options.laid(last.id);
        await this.#sync.layOut({
          object: state.object,
          folder,
          mode: state.mode,
          mtime: state.mtime,
          earlier: lastFolder === undefined ? undefined : { folder: lastFolder, object: last!.object },
          owner: outerOwner(state, options.owner),
        });
        this.#last.set(series, state);
      },
    };
  }
}

/** `owner` of a state is meant inside: ids are counted from where root inside is on this machine. */
function outerOwner(
  state: StateRecord,
  root: { readonly uid: number; readonly gid: number } | undefined,
): { readonly uid: number; readonly gid: number } | undefined {
  const [uid = 0, gid = 0] = state.owner?.split(':').map(Number) ?? [];
  return root && { uid: root.uid + uid, gid: root.gid + gid };
}

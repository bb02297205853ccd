import type { DirectoryStateLayer } from '../../runtimes/runtime.ts';
import type { ImageRecord, ImageStore } from '../images/imageStore.ts';
import type { OperationStore } from '../operations/operationStore.ts';
import type { StateRecord, StateStore } from './stateStore.ts';
import type { Sync } from './sync.ts';

/** A state that waits for the image it shall be laid over. */
export type StateOver = (image: ImageRecord) => DirectoryStateLayer;

/** Directory states in the form that runtimes take them. */
export class StateLayers {
  readonly #states: StateStore;
  readonly #sync: Sync;
  readonly #images: ImageStore;
  readonly #operations: OperationStore;
  /** The state of each series that was laid last: the next one shares most of its files. */
  readonly #last = new Map<string, StateRecord>();

  constructor(parts: {
    readonly states: StateStore;
    readonly sync: Sync;
    readonly images: ImageStore;
    readonly operations: OperationStore;
  }) {
    this.#states = parts.states;
    this.#sync = parts.sync;
    this.#images = parts.images;
    this.#operations = parts.operations;
  }

  /** An unknown id is an error at once, before anything is started. */
  find(id: string | undefined): StateOver | undefined {
    if (id === undefined) return undefined;
    const state = this.#states.find(id);
    this.#states.touch(id);
    return image => this.#layer(state, image);
  }

  #layer(state: StateRecord, image: ImageRecord): DirectoryStateLayer {
    return {
      id: state.id,
      destination: state.destination,
      owner: ownerOf(state),
      hides: this.#hides(state, image),
      layOut: (folder, options) => this.#layOut(state, folder, options),
    };
  }

  async #layOut(
    state: StateRecord,
    folder: string,
    options: Parameters<DirectoryStateLayer['layOut']>[1],
  ): Promise<void> {
    const key = `${seriesOf(state)}\0${state.owner}`;
    const last = this.#last.get(key);
    const lastFolder = last && options.laid(last.id);
    await this.#sync.layOut({
      object: state.object,
      folder,
      mode: state.mode,
      mtime: state.mtime,
      earlier: lastFolder === undefined ? undefined : { folder: lastFolder, object: last!.object },
      owner: outerOwner(state, options.root),
      copy: state.owner !== null && options.root === undefined,
    });
    this.#last.set(key, state);
  }

  /** Of the last state of the same series in the image's past, what the new one no longer has. */
  #hides(state: StateRecord, image: ImageRecord): string[] {
    const earlier = this.#earlierState(state, image);
    if (!earlier || earlier.object === state.object) return [];
    const prefix = Buffer.from(state.destination).toString('latin1');
    const lost: string[] = [];
    const compare = (before: string, after: string | undefined, folder: string) => {
      if (before === after) return;
      const kept = new Map((after === undefined ? [] : this.#states.folder(after)).map(entry => [entry.name, entry]));
      for (const entry of this.#states.folder(before)) {
        const now = kept.get(entry.name);
        const path = `${folder}/${entry.name}`;
        if (entry.kind === 'folder') compare(entry.value, now?.kind === 'folder' ? now.value : undefined, path);
        if (!now) lost.push(path);
      }
    };
    compare(earlier.object, state.object, prefix);
    return lost;
  }

  #earlierState(state: StateRecord, image: ImageRecord): StateRecord | undefined {
    for (
      let at: ImageRecord | undefined = image;
      at;
      at = at.parent === null ? undefined : this.#images.find(at.parent)
    ) {
      const id = at.operationId === null ? null : this.#operations.find(at.operationId)?.directoryStateId;
      const found = id ? this.#states.lookUp(id) : undefined;
      if (found && seriesOf(found) === seriesOf(state)) return found;
    }
    return undefined;
  }
}

const seriesOf = (state: StateRecord): string => `${state.source}\0${state.destination}`;

function ownerOf(state: StateRecord): { readonly uid: number; readonly gid: number } | undefined {
  if (state.owner === null) return undefined;
  const [uid, gid] = state.owner.split(':').map(Number);
  return { uid: uid!, gid: gid! };
}

/** Ids inside are counted from where root inside is on this machine. */
function outerOwner(
  state: StateRecord,
  root: { readonly uid: number; readonly gid: number } | undefined,
): { readonly uid: number; readonly gid: number } | undefined {
  const inside = ownerOf(state) ?? { uid: 0, gid: 0 };
  return root && { uid: root.uid + inside.uid, gid: root.gid + inside.gid };
}

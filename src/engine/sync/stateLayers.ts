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
  /** The state of each series that was laid whole last: the next ones share most of its files. */
  readonly #last = new Map<string, string>();

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
      ...this.#since(state, image),
      layOut: (folder, options) => this.#layOut(state, folder, options),
    };
  }

  async #layOut(
    state: StateRecord,
    folder: string,
    options: Parameters<DirectoryStateLayer['layOut']>[1],
  ): Promise<string | undefined> {
    const key = `${seriesOf(state)}\0${state.owner}`;
    // One that was collected meanwhile is in no store to compare with.
    const last = this.#states.lookUp(this.#last.get(key) ?? '');
    const lastFolder = last && options.laid(last.id);
    const earlier = lastFolder === undefined ? undefined : { folder: lastFolder, object: last!.object };
    const whole = await this.#sync.layOut({
      object: state.object,
      folder,
      mode: state.mode,
      mtime: state.mtime,
      earlier,
      overEarlier: options.overOthers,
      owner: outerOwner(state, options.root),
      copy: state.owner !== null && options.root === undefined,
    });
    if (!whole) return last!.id;
    this.#last.set(key, state.id);
    return undefined;
  }

  /** Compared with the last state of the same series in the image's past: what is lost, and what changed behind time's back. */
  #since(state: StateRecord, image: ImageRecord): Pick<DirectoryStateLayer, 'hides' | 'touches'> {
    const earlier = this.#earlier(state, image);
    const hides: string[] = [];
    const touches: string[] = [];
    const compare = (before: string, after: string | undefined, folder: string) => {
      if (before === after) return;
      const now = new Map((after === undefined ? [] : this.#states.folder(after)).map(entry => [entry.name, entry]));
      for (const old of this.#states.folder(before)) {
        const entry = now.get(old.name);
        const path = `${folder}/${old.name}`;
        if (old.kind === 'folder') compare(old.value, entry?.kind === 'folder' ? entry.value : undefined, path);
        if (!entry) hides.push(path);
        else if (entry.kind === 'file' && old.value !== entry.value && entry.mtime <= earlier!.usedUntil)
          touches.push(path);
      }
    };
    if (earlier) compare(earlier.state.object, state.object, Buffer.from(state.destination).toString('latin1'));
    return { hides, touches };
  }

  #earlier(
    state: StateRecord,
    image: ImageRecord,
  ): { readonly state: StateRecord; readonly usedUntil: number } | undefined {
    for (
      let at: ImageRecord | undefined = image;
      at;
      at = at.parent === null ? undefined : this.#images.find(at.parent)
    ) {
      const operation = at.operationId === null ? undefined : this.#operations.find(at.operationId);
      const found = operation?.directoryStateId ? this.#states.lookUp(operation.directoryStateId) : undefined;
      if (found && seriesOf(found) === seriesOf(state))
        return { state: found, usedUntil: operation!.finishedAt ?? Date.now() };
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

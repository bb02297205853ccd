import { randomUUID } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import type { DirectoryStateLayer } from '../runtime.ts';
import { adoptStateRequest } from './hostApi.ts';
import type { HostConnection } from './hostConnection.ts';
import { firstId, isRealRoot, layingFolder } from './namespace.ts';
import { stateLayerId } from './stateLayer.ts';

/** Lays directory states out where the host can take them as layers: each once, however many runs begin with it. */
export class StateLaying {
  readonly #home: string;
  readonly #going = new Map<string, Promise<void>>();
  /** Who root inside is on this machine, when that is not us. */
  readonly #root = isRealRoot ? { uid: firstId, gid: firstId } : undefined;

  constructor(home: string) {
    this.#home = home;
  }

  /** The host knows whether the state's tree is there; when it is not, it is laid out and asked again. */
  async withLaid<T>(
    host: HostConnection,
    state: DirectoryStateLayer | undefined,
    create: () => Promise<T>,
  ): Promise<T> {
    try {
      return await create();
    } catch (error) {
      if (!state || !isUnlaid(error)) throw error;
    }
    await this.#lay(host, state);
    return create();
  }

  #lay(host: HostConnection, state: DirectoryStateLayer): Promise<void> {
    const going = this.#going.get(state.id);
    if (going) return going;
    // Its ground may have gone before it came.
    const laying = this.#layOut(host, state, true)
      .catch(error => {
        if (!isUnlaid(error)) throw error;
        return this.#layOut(host, state, false);
      })
      .finally(() => this.#going.delete(state.id));
    this.#going.set(state.id, laying);
    return laying;
  }

  async #layOut(host: HostConnection, state: DirectoryStateLayer, overOthers: boolean): Promise<void> {
    const inbox = `state-${randomUUID()}`;
    const layer = path.join(this.#home, layingFolder, inbox);
    try {
      const folder = this.#makeFolders(layer, state.destination);
      const laid = (id: string) => this.#laid(id, state.destination);
      const over = await state.layOut(folder, { root: this.#root, laid, overOthers });
      // Whole, and from here on the host's: nothing more is done to it by its name.
      await rename(layer, path.join(this.#home, 'inbox', inbox));
      await host.ask(adoptStateRequest, {
        state: state.id,
        layer: stateLayerId(state.id),
        inbox,
        over: over === undefined ? null : stateLayerId(over),
        give: this.#give(state),
      });
    } finally {
      await rm(layer, { recursive: true, force: true });
    }
  }

  #makeFolders(layer: string, destination: string): string {
    let folder = layer;
    this.#makeFolder(folder);
    for (const step of destination.split('/').filter(Boolean)) {
      folder = path.join(folder, step);
      this.#makeFolder(folder);
    }
    return folder;
  }

  #makeFolder(folder: string): void {
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    if (this.#root) chownSync(folder, this.#root.uid, this.#root.gid);
  }

  /** Only root inside may give files to another user, and we are not. */
  #give(state: DirectoryStateLayer): { folder: string; uid: number; gid: number } | null {
    return state.owner && !this.#root ? { folder: state.destination, ...state.owner } : null;
  }

  #laid(state: string, destination: string): string | undefined {
    const folder = path.join(this.#home, 'layers', stateLayerId(state), destination);
    return existsSync(folder) ? folder : undefined;
  }
}

function isUnlaid(error: unknown): boolean {
  return error instanceof CoppiceError && error.code === 'state_not_found';
}

import type { Connection } from './connect/connection.ts';
import type { Images } from './images.ts';
import { kindLabel, type Names } from './names.ts';

/** So many results of steps are kept that no image stands on: of stages that were copied from, of builds that failed. */
const mostKept = 8;

/**
 * What builds leave beside their images, so that the next one need not do it again. It has names of ours, so it goes with
 * everything else of ours, and only the newest stay.
 */
export class BuildCache {
  readonly #connection: Connection;
  readonly #images: Images;
  readonly #names: () => Names;
  #building = 0;

  constructor(connection: Connection, images: Images, names: () => Names) {
    this.#connection = connection;
    this.#images = images;
    this.#names = names;
  }

  begin(): void {
    this.#building++;
  }

  /** What another build stands on at the moment has no name either, so nothing goes before the last one has ended. */
  async end(): Promise<void> {
    this.#building--;
    await this.#name();
    if (this.#building === 0) await this.#shrink(mostKept, Number.POSITIVE_INFINITY);
  }

  /** What an earlier engine left, also one that was killed in a build: all that is older than this time, in seconds. */
  async clear(before: number): Promise<void> {
    await this.#name();
    await this.#shrink(0, before);
  }

  async #name(): Promise<void> {
    const { api } = await this.#connection.daemon();
    const found = await api.listImages({ filters: { dangling: ['true'], ...this.#names().filter } });
    // Podman finds nothing when it is asked for two labels.
    for (const { Id } of found.filter(({ Labels }) => Labels?.[kindLabel] === 'build'))
      await this.#images.tag(Id, `cache-${Id.replace('sha256:', '').slice(0, 12)}`);
  }

  async #shrink(most: number, before: number): Promise<void> {
    const { api } = await this.#connection.daemon();
    const prefix = this.#names().image('cache-');
    const kept = (await api.listImages({ filters: { reference: [`${prefix}*`] } }))
      .filter(({ Created }) => Created <= before)
      .flatMap(({ RepoTags, Created }) => (RepoTags ?? []).map(name => ({ name, Created })))
      .filter(({ name }) => name.startsWith(prefix))
      .sort((one, other) => other.Created - one.Created);
    for (const { name } of kept.slice(most)) await this.#images.remove(name);
  }
}

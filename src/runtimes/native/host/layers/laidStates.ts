import type { MadeBy } from './layerStore.ts';

/** How many trees of directory states stay that nothing stands on. */
const keptStates = 16;

/** What is known of directory states among the layers: which were used lately, what they lie over, and what stands on them. */
export class LaidStates {
  /** Layers that were there when the host started. */
  readonly #found: ReadonlySet<string>;
  /** Those that runs were made with, least recently used first. */
  readonly #used = new Set<string>();
  /** The layer of the state that a state's differs from, by its own. */
  readonly #over = new Map<string, string>();
  /** What committed layers say was laid under them: the states that images stand on. By layer. */
  readonly #laidUnder = new Map<string, readonly string[]>();

  constructor(found: ReadonlySet<string>) {
    this.#found = found;
  }

  learn(id: string, { laid = [], over }: Partial<Pick<MadeBy, 'laid' | 'over'>>): void {
    if (laid.length > 0) this.#laidUnder.set(id, laid);
    if (over === undefined) this.#over.delete(id);
    else this.#over.set(id, over);
  }

  forget(id: string): void {
    this.#laidUnder.delete(id);
    this.#used.delete(id);
    this.#over.delete(id);
  }

  use(layers: readonly string[]): void {
    for (const id of layers) {
      this.#used.delete(id);
      this.#used.add(id);
    }
  }

  /** Does it hold only what differs from another state? */
  isDifference(id: string): boolean {
    return this.#over.has(id);
  }

  /** A layer that holds a state's difference is nothing without the one that it lies over, also where a chain has that merged. */
  withGrounds(layers: readonly string[]): readonly string[] {
    return [...new Set(layers.flatMap(id => [id, this.#over.get(id) ?? id]))];
  }

  /** What was kept since the host started stands on them, except for what is going too: the engine may not know of it yet. */
  newlyLaidUnder(going: readonly string[]): ReadonlySet<string> {
    const kept = [...this.#laidUnder].filter(([id]) => !this.#found.has(id) && !going.includes(id));
    return new Set(kept.flatMap(([, laid]) => laid));
  }

  /** Those that no image stands on and no run has any more, but for the last few. */
  idle(isPinned: (id: string) => boolean): readonly string[] {
    if (this.#used.size <= keptStates) return [];
    const used = [...this.#used];
    const held = new Set(this.withGrounds([...used.slice(-keptStates), ...[...this.#laidUnder.values()].flat()]));
    return used.slice(0, -keptStates).filter(id => !held.has(id) && !isPinned(id));
  }
}

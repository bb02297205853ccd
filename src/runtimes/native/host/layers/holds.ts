/** Layers of imports that are going on, or that the engine may not have recorded yet: they stay, whatever else goes. */
export class Holds {
  readonly #holders = new Map<string, Set<string>>();

  hold(image: string, layer: string): void {
    const holders = this.#holders.get(layer) ?? new Set();
    this.#holders.set(layer, holders.add(image));
  }

  release(image: string): void {
    for (const [layer, holders] of this.#holders) {
      holders.delete(image);
      if (holders.size === 0) this.#holders.delete(layer);
    }
  }

  has(layer: string): boolean {
    return this.#holders.has(layer);
  }

  layers(): Iterable<string> {
    return this.#holders.keys();
  }
}

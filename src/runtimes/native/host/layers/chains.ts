import * as fs from 'node:fs';
import * as path from 'node:path';

/** One merged layer that stands for a run of others. */
export interface Alias {
  readonly id: string;
  /** The layers, down to the lowest, of which all but the last `base` are merged in it. */
  readonly chain: readonly string[];
  readonly base: number;
}

const suffix = '.chain.json';

/**
 * Which merged layers stand for which chains. An image keeps naming the layers it was made of, for ever; here is what
 * is mounted instead, so merging needs nobody's leave and the layers may be deleted once no image mounts them.
 */
export class Chains {
  readonly #folder: string;
  /** By the topmost layer of their chain. */
  readonly #aliases = new Map<string, Alias[]>();

  constructor(folder: string) {
    this.#folder = folder;
    for (const name of fs.readdirSync(folder).filter(name => name.endsWith(suffix)))
      this.#learn(JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8')) as Alias);
  }

  /** The longest merged part wins, which is the one whose chain begins nearest to the top. */
  resolve(layers: readonly string[]): readonly string[] {
    for (const [index, layer] of layers.entries()) {
      const alias = this.#aliases.get(layer)?.find(alias => isRest(layers, index, alias.chain));
      if (alias !== undefined)
        return [...layers.slice(0, index), alias.id, ...layers.slice(layers.length - alias.base)];
    }
    return layers;
  }

  /** `half`: where the record is written before it gets its name. */
  add(alias: Alias, half: string): void {
    fs.writeFileSync(half, `${JSON.stringify(alias)}\n`);
    fs.renameSync(half, this.#file(alias.id));
    this.#learn(alias);
  }

  /** The merged layer is gone, or about to go. */
  forget(id: string): void {
    for (const [top, aliases] of this.#aliases) {
      const rest = aliases.filter(alias => alias.id !== id);
      if (rest.length === 0) this.#aliases.delete(top);
      else this.#aliases.set(top, rest);
    }
    fs.rmSync(this.#file(id), { force: true });
  }

  ids(): readonly string[] {
    return [...this.#aliases.values()].flat().map(alias => alias.id);
  }

  #learn(alias: Alias): void {
    const top = alias.chain[0]!;
    this.#aliases.set(top, [...(this.#aliases.get(top) ?? []), alias]);
  }

  #file(id: string): string {
    return path.join(this.#folder, `${id}${suffix}`);
  }
}

function isRest(layers: readonly string[], from: number, chain: readonly string[]): boolean {
  return layers.length - from === chain.length && chain.every((id, index) => layers[from + index] === id);
}

import { CoppiceError } from '../protocol/errors.ts';
import type { RuntimeName } from '../protocol/schemas/common.ts';
import type { Runtime } from '../runtimes/runtime.ts';

/** The runtimes of an engine: the one that an image belongs to, and the one that new images go to. */
export class Runtimes {
  readonly all: readonly Runtime[];
  readonly #chosen: RuntimeName | 'auto';
  #preferred: Promise<Runtime> | undefined;

  /** `auto` is the first of them that works here. */
  constructor(all: readonly Runtime[], chosen: RuntimeName | 'auto' = 'auto') {
    this.all = all;
    this.#chosen = chosen;
  }

  /** The runtime that holds an image, or that has this name. */
  of(image: { readonly runtime: RuntimeName }): Runtime {
    const found = this.all.find(runtime => runtime.name === image.runtime);
    if (!found) throw new CoppiceError('runtime_unavailable', `this engine has no runtime ${image.runtime}`);
    return found;
  }

  /** Where new images go. Decided once, by trying; while nothing works, asked anew each time. */
  preferred(): Promise<Runtime> {
    this.#preferred ??= this.#decide();
    return this.#preferred;
  }

  async #decide(): Promise<Runtime> {
    if (this.#chosen !== 'auto') return this.of({ runtime: this.#chosen });
    for (const runtime of this.all.slice(0, -1)) if (await works(runtime)) return runtime;
    const last = this.all.at(-1)!;
    if (this.all.length === 1 || (await works(last))) return last;
    this.#preferred = undefined;
    // Its own error says what to do about it.
    return this.all[0]!;
  }
}

const works = (runtime: Runtime): Promise<boolean> =>
  runtime.probe().then(
    probe => probe.available,
    () => false,
  );

import { createHash } from 'node:crypto';
import { readSource } from '../../src/protocol/imageSource.ts';
import type { Credentials } from '../../src/registry/credentials.ts';
import type { OciImage } from '../../src/registry/ociImage.ts';
import { OutsideImages } from '../../src/registry/outsideImages.ts';
import { parseReference } from '../../src/registry/reference.ts';
import { TemporaryFolder } from './temporaryFolder.ts';

/** What the engine has between it and the outside, over a home of its own. */
export class Outside implements Disposable {
  readonly folder = new TemporaryFolder();
  readonly home = this.folder.join('home');
  readonly asked: string[] = [];
  credentials: Readonly<Record<string, Credentials>> = {};
  env: NodeJS.ProcessEnv = { HOME: this.folder.path };
  progress: (readonly [number, number])[] = [];
  #images: OutsideImages | undefined;

  get images(): OutsideImages {
    const find = async (registry: string) => {
      this.asked.push(registry);
      return { credentials: this.credentials[registry] };
    };
    this.#images ??= new OutsideImages(this.home, { find }, this.env);
    return this.#images;
  }

  /** As a new engine sees it. */
  restart(): void {
    this.#images = undefined;
  }

  /** The digest a source has now, and nothing more. */
  async digest(source: string, platform?: string): Promise<string> {
    const opened = await this.images.open(this.#source(source), { platform, patient: true, signal: this.signal });
    opened.close(true);
    return opened.digest;
  }

  /** The image with every layer brought and read: what an import does, without the unpacking. */
  async bring(
    source: string,
    options: { readonly platform?: string; readonly signal?: AbortSignal } = {},
  ): Promise<OciImage & { readonly name: string | undefined; readonly read: readonly string[] }> {
    const signal = options.signal ?? this.signal;
    const opened = await this.images.open(this.#source(source), { platform: options.platform, patient: true, signal });
    let whole = false;
    try {
      const image = await opened.image(signal, (done, total) => this.progress.push([done, total]));
      const streams = await Promise.all(image.layers.map(layer => layer.open(signal)));
      const read: string[] = [];
      for (const stream of streams) {
        const hash = createHash('sha256');
        for await (const chunk of stream) hash.update(chunk as Buffer);
        read.push(`sha256:${hash.digest('hex')}`);
      }
      whole = true;
      return { ...image, name: opened.name, read };
    } finally {
      opened.close(whole);
    }
  }

  #source(text: string): Parameters<OutsideImages['open']>[0] {
    const source = readSource(text);
    if (source?.kind === 'registry') return { kind: 'registry', reference: parseReference(source.text) };
    if (source?.kind === 'archive') return source;
    throw new Error(`${text} is not outside`);
  }

  get signal(): AbortSignal {
    return AbortSignal.timeout(60_000);
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

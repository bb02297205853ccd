import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { ExportedLayer } from '../runtime.ts';
import type { DockerImageData } from './images.ts';

/** An image's layers as the daemon gives them away: all at once, so they wait on this machine to be asked for. */
export class SavedLayers {
  readonly #save: () => Promise<NodeJS.ReadableStream>;
  readonly #scratch: string;
  readonly #count: number;
  #saved: Promise<{ readonly folder: string; readonly files: readonly string[] }> | undefined;
  readonly #open = new Set<number>();

  constructor(save: () => Promise<NodeJS.ReadableStream>, scratch: string, count: number) {
    this.#save = save;
    this.#scratch = scratch;
    this.#count = count;
  }

  /** Each is told by the first image of the lineage that has it. */
  layers(lineage: readonly DockerImageData[], image: DockerImageData): readonly ExportedLayer[] {
    return image.layers.map(({ id }, index) => ({
      madeBy: Math.max(
        0,
        lineage.findIndex(each => each.layers[index]?.id === id),
      ),
      open: signal => this.#layer(index, signal),
    }));
  }

  async #layer(index: number, signal: AbortSignal): Promise<Readable> {
    this.#saved ??= this.#fetch(signal);
    const { folder, files } = await this.#saved;
    this.#open.add(index);
    const stream = createReadStream(files[index]!, { highWaterMark: 1 << 18 });
    stream.once('close', () => {
      this.#open.delete(index);
      // The last one is asked for last.
      if (index !== this.#count - 1 || this.#open.size > 0) return;
      this.#saved = undefined;
      void rm(folder, { recursive: true, force: true });
    });
    return stream;
  }

  async #fetch(signal: AbortSignal): Promise<{ folder: string; files: string[] }> {
    await mkdir(this.#scratch, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(path.join(this.#scratch, 'saved-'));
    try {
      const places = await unpackSaved(await this.#save(), folder, signal);
      const manifest = JSON.parse(await readFile(places.get('manifest.json') ?? '', 'utf8')) as [{ Layers: string[] }];
      const files = manifest[0].Layers.map(layer => places.get(layer));
      if (files.length !== this.#count || files.includes(undefined))
        throw new CoppiceError('internal', 'the daemon gave away another image than it was asked for');
      return { folder, files: files as string[] };
    } catch (error) {
      this.#saved = undefined;
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }
}

/** Under names of our own: what an archive calls its entries is no path on this machine. */
async function unpackSaved(
  archive: NodeJS.ReadableStream,
  folder: string,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const places = new Map<string, string>();
  const parser = extract();
  const fed = pipeline(archive as Readable, parser as unknown as NodeJS.WritableStream, { signal });
  fed.catch(error => parser.destroy(error as Error));
  for await (const entry of parser) {
    const { name, type, linkname } = entry.header;
    // A layer that is there twice is a link to its first place.
    const linked = linkname ? places.get(path.posix.join(path.posix.dirname(name), linkname)) : undefined;
    if (type === 'symlink' && linked) places.set(name, linked);
    if (type !== 'file') {
      entry.resume();
      continue;
    }
    const place = path.join(folder, String(places.size));
    places.set(name, place);
    await pipeline(entry as unknown as Readable, createWriteStream(place, { mode: 0o600 }));
  }
  await fed;
  return places;
}

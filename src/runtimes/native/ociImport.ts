import { Transform } from 'node:stream';
import type { OciImage, OciLayer } from '../../registry/ociImage.ts';
import type { ImportedImage, ImportOptions } from '../runtime.ts';
import * as api from './hostApi.ts';
import type { HostConnection } from './hostConnection.ts';
import { sendToHost } from './hostStream.ts';

/** How many layers travel and are unpacked at once. */
const atOnce = 4;

interface Import {
  readonly host: HostConnection;
  readonly image: OciImage;
  readonly options: ImportOptions;
  readonly diffIds: readonly string[];
  /** Aborted with the import, or when one of its layers failed. */
  readonly signal: AbortSignal;
  readonly sent: (bytes: number) => void;
}

/** Brings images from outside into the host's store: only layers that are not there, each once, several at a time. */
export class OciImports {
  readonly #home: string;
  /** Layers that are being unpacked, by the digest of their tar: who needs one meanwhile waits for it. */
  readonly #going = new Map<string, Promise<unknown>>();

  constructor(home: string) {
    this.#home = home;
  }

  async import(host: HostConnection, image: OciImage, options: ImportOptions): Promise<ImportedImage> {
    const { uuid, signal } = options;
    const diffIds = image.layers.map(layer => layer.diffId);
    try {
      const here = await host.ask(api.claimLayersRequest, { uuid, diffIds }, signal);
      const missing = [...image.layers.keys()].filter(index => !here[index]);
      await this.#bringAll({ host, image, options, diffIds }, missing);
      const { data, size, notes } = await host.ask(api.finishOciRequest, { uuid, diffIds }, signal);
      return { data, size, notes, config: image.config, digest: image.digest };
    } catch (error) {
      if (host.alive) await host.ask(api.abandonOciRequest, { uuid });
      throw error;
    }
  }

  /** Ends when none is on its way any more, also when one failed. */
  async #bringAll(begun: Omit<Import, 'signal' | 'sent'>, missing: readonly number[]): Promise<void> {
    const failed = new AbortController();
    const total = missing.reduce((sum, index) => sum + begun.image.layers[index]!.size, 0);
    let done = 0;
    const sent = (bytes: number) => {
      done += bytes;
      begun.options.progress('unpacking', done, total);
    };
    const signal = AbortSignal.any([begun.options.signal, failed.signal]);
    const waiting = [...missing];
    const bringNext = async () => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift())
        await this.#bring({ ...begun, signal, sent }, index);
    };
    const workers = Array.from({ length: Math.min(atOnce, missing.length) }, () =>
      bringNext().catch(error => {
        waiting.length = 0;
        // The first one is the reason; what follows is only that it was stopped.
        if (!failed.signal.aborted) failed.abort(error);
      }),
    );
    await Promise.all(workers);
    begun.options.signal.throwIfAborted();
    failed.signal.throwIfAborted();
  }

  async #bring(begun: Import, index: number): Promise<void> {
    const diffIds = begun.diffIds.slice(0, index + 1);
    const diffId = begun.diffIds[index]!;
    for (let going = this.#going.get(diffId); going !== undefined; going = this.#going.get(diffId)) {
      await settledOr(going, begun.signal);
      const here = await begun.host.ask(api.claimLayersRequest, { uuid: begun.options.uuid, diffIds }, begun.signal);
      if (here.at(-1)) return;
    }
    const sending = this.#send(begun, diffIds, begun.image.layers[index]!);
    this.#going.set(diffId, sending);
    try {
      await sending;
    } finally {
      this.#going.delete(diffId);
    }
  }

  async #send(begun: Import, diffIds: readonly string[], layer: OciLayer): Promise<void> {
    const { host, signal } = begun;
    const { uuid } = begun.options;
    const blob = await layer.open(signal);
    const counted = new Transform({
      transform(chunk: Buffer, _encoding, callback) {
        begun.sent(chunk.length);
        callback(null, chunk);
      },
    });
    blob.once('error', error => counted.destroy(error));
    counted.once('close', () => blob.destroy());
    await sendToHost(this.#home, { stream: blob.pipe(counted) }, signal, (stream, aborted) =>
      host.ask(api.importLayerRequest, { uuid, diffIds, stream, total: layer.size }, aborted),
    );
  }
}

/** Of both, the first to end; what becomes of `work` is another's business. */
async function settledOr(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  signal.addEventListener('abort', stop, { once: true });
  work.then(stop, stop);
  if (signal.aborted) stop();
  await promise;
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
}

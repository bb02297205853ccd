import type { RequestType } from 'vscode-jsonrpc';
import * as api from '../../hostApi.ts';
import type { Streams } from '../streams.ts';
import type { Views } from '../views/views.ts';
import type { LayerStore } from './layerStore.ts';

type Answer = <P, R>(
  type: RequestType<P, R, unknown>,
  answer: (params: P, signal: AbortSignal) => R | Promise<R>,
) => void;

export interface ImageTools {
  readonly layers: LayerStore;
  readonly views: Views;
  readonly streams: Streams;
  /** Sandboxes whose folders are in use. */
  readonly sandboxes: () => readonly string[];
  readonly progress: (uuid: string, message: string, done?: number, total?: number) => void;
}

/** A bar needs no more. */
const progressMs = 100;

/** All that the engine asks about images. */
export function answerImages(on: Answer, tools: ImageTools): void {
  const { layers, views, streams } = tools;
  on(api.importHostRequest, ({ uuid }) => layers.importHost(uuid));
  on(api.importRootfsRequest, async ({ uuid, stream, total }, signal) => {
    const source = await streams.accept(stream, signal);
    const progress = paced((message, done, all) => tools.progress(uuid, message, done, all));
    return layers.importRootfs(uuid, source, { signal, progress, total: total ?? undefined });
  });
  on(api.removeImageRequest, ({ image, others }) => layers.removeImage(image, others));
  on(api.reapRequest, async ({ images, sandboxes }) => {
    await layers.reap(images, [...sandboxes, ...tools.sandboxes()]);
    return null;
  });
  on(api.diffRequest, ({ parent, child, path }, signal) => views.diff(parent, child, path, signal));
  on(api.statRequest, ({ image, path }) => views.files(image).stat(path));
  on(api.listRequest, ({ image, path }) => views.files(image).list(path));
  on(api.readRequest, async ({ image, path, offset, length }) => {
    const { bytes, size } = await views.files(image).read(path, offset, length);
    return { base64: bytes.toString('base64'), size };
  });
  on(api.globRequest, ({ image, pattern }, signal) => views.files(image).glob(pattern, signal));
  on(api.grepRequest, ({ image, glob, ...options }, signal) =>
    views.files(image).grep({ ...options, glob: glob ?? undefined, signal }),
  );
  on(api.archiveRequest, async ({ image, path, stream }, signal) => {
    const output = await streams.accept(stream, signal);
    try {
      await views.files(image).archive(path, output, signal);
    } finally {
      output.destroy();
    }
    return null;
  });
}

type Progress = (message: string, done?: number, total?: number) => void;

/** Numbers of the same step come too often for a message each. */
function paced(progress: Progress): Progress {
  let next = 0;
  return (message, done, total) => {
    if (done !== undefined && performance.now() < next) return;
    next = performance.now() + progressMs;
    progress(message, done, total);
  };
}

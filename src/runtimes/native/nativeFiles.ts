import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { GrepOptions, GrepResult, ImageFiles, RuntimeImage } from '../runtime.ts';
import * as api from './hostApi.ts';
import type { HostConnection } from './hostConnection.ts';
import { receiveFromHost } from './hostStream.ts';

/** An image's files, asked of the host. */
export class NativeFiles implements ImageFiles {
  readonly #home: string;
  readonly #image: RuntimeImage;
  readonly #host: () => Promise<HostConnection>;

  constructor(home: string, image: RuntimeImage, host: () => Promise<HostConnection>) {
    this.#home = home;
    this.#image = image;
    this.#host = host;
  }

  async stat(path: string): Promise<FileEntry> {
    return (await this.#host()).ask(api.statRequest, { image: this.#image, path });
  }

  async list(path: string): Promise<readonly FileEntry[]> {
    return (await this.#host()).ask(api.listRequest, { image: this.#image, path });
  }

  async read(path: string, offset: number, length: number): Promise<{ bytes: Buffer; size: number }> {
    const params = { image: this.#image, path, offset, length };
    const { base64, size } = await (await this.#host()).ask(api.readRequest, params);
    return { bytes: Buffer.from(base64, 'base64'), size };
  }

  async glob(pattern: string, signal?: AbortSignal): Promise<readonly FileEntry[]> {
    return (await this.#host()).ask(api.globRequest, { image: this.#image, pattern }, signal);
  }

  async grep(options: GrepOptions): Promise<GrepResult> {
    const { signal, glob = null, ...rest } = options;
    return (await this.#host()).ask(api.grepRequest, { ...rest, image: this.#image, glob }, signal);
  }

  /** The stream fails, instead of ending early, when the archive could not be made whole. */
  async archive(path: string, signal?: AbortSignal): Promise<NodeJS.ReadableStream> {
    const host = await this.#host();
    // What does not exist is told before a stream is handed out.
    await host.ask(api.statRequest, { image: this.#image, path }, signal);
    return receiveFromHost(this.#home, stream =>
      host.ask(api.archiveRequest, { image: this.#image, path, stream }, signal),
    );
  }
}

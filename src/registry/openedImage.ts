import type { OciImage } from './ociImage.ts';

/** An image found where a reference leads, before anything large of it is read. */
export interface OpenedImage {
  /** Of its manifest; an archive of Docker's has none, there it is its configuration's. */
  readonly digest: string;
  /** `python:3.11-slim`: what an import without a tag is called; undefined where nothing says so. */
  readonly name: string | undefined;
  /** Its configuration and its layers; each comes when it is asked for. `progress` hears of bytes as they arrive. */
  image(signal: AbortSignal, progress: ByteProgress): Promise<OciImage>;
  /** `imported`: what was downloaded has served its purpose. */
  close(imported: boolean): void;
}

export type ByteProgress = (done: number, total: number) => void;

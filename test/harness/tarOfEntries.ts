import { type Header, pack } from 'tar-stream';

export type Entry = Partial<Header> & { readonly name: string; readonly content?: string };

/** A tar written by hand: any name, any kind, in any order. */
export async function tarOfEntries(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries) {
    const text = header.type === undefined ? (content ?? header.name) : '';
    tar.entry({ mtime: new Date(1_600_000_000_000), ...header, size: Buffer.byteLength(text) } as Header, text);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

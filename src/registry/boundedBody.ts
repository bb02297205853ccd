import type { Readable } from 'node:stream';

/** A short answer whole, or undefined when it is longer than it may be; then the rest is not even read. */
export async function readBounded(body: Readable, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > most) return undefined; // Leaving the loop destroys the stream.
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

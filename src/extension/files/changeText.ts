import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import { asCoppiceError } from '../engineConnection.ts';
import { byteSize, sentence } from '../views/labels.ts';
import type { ImageFiles } from './imageFiles.ts';
import type { ImagePlace } from './imageUri.ts';

/** A larger file is told apart by its hash only, and one beyond the second measure by its size and time. */
const MOST_TEXT = 2 * 1024 * 1024;
const MOST_HASHED = 64 * 1024 * 1024;

/** One side of a comparison, always as text: what is none is told in a line that differs when the file does. */
export async function changeText(files: ImageFiles, { image, path }: ImagePlace): Promise<Uint8Array> {
  const { entry } = await files.stat(image, path);
  if (entry.type === 'link') return line(`link to ${entry.link ?? ''}`);
  if (entry.type !== 'file') return line(entry.type === 'directory' ? 'folder' : 'device, socket or pipe');
  if (entry.size > MOST_HASHED) return line(`large file, ${facts(entry)}`);
  try {
    const bytes = await files.read(image, path, entry.size);
    return entry.size <= MOST_TEXT && !isBinary(bytes) ? bytes : line(summary(bytes, entry));
  } catch (error) {
    // Private to the machine's root: that it changed can be told, its content cannot.
    if (asCoppiceError(error).code === 'path_not_found') return line(sentence(asCoppiceError(error).message));
    throw error;
  }
}

/** As git and VS Code see it: a zero byte somewhere at the beginning. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.subarray(0, 8192).includes(0);

const line = (text: string): Uint8Array => Buffer.from(`${text}\n`);

function summary(bytes: Uint8Array, entry: FileEntry): string {
  const kind = isBinary(bytes) ? 'binary file' : 'large file';
  return `${kind}, ${facts(entry)}\nsha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

const facts = ({ size, mode }: FileEntry): string => `${byteSize(size)}, mode ${mode.toString(8)}`;

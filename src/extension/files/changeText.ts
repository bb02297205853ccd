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
export async function changeText(files: ImageFiles, place: ImagePlace): Promise<Uint8Array> {
  try {
    return await textOf(files, place);
  } catch (thrown) {
    const error = asCoppiceError(thrown);
    // Private to the machine's root, or no longer kept: that it changed can be told, its content cannot.
    if (error.code === 'path_not_found' || error.code === 'state_collected') return line(sentence(error.message));
    throw error;
  }
}

async function textOf(files: ImageFiles, { image, path, foundBy }: ImagePlace): Promise<Uint8Array> {
  const { entry } = await files.stat(image, path, foundBy);
  if (entry.type === 'link') return line(`link to ${entry.link ?? ''}`);
  if (entry.type !== 'file') return line(entry.type === 'directory' ? 'folder' : 'device, socket or pipe');
  if (entry.size > MOST_HASHED) return line(`large file, ${facts(entry)}`);
  const bytes = await files.read(image, path, entry.size, foundBy);
  return entry.size <= MOST_TEXT && !isBinary(bytes) ? bytes : line(summary(bytes, entry));
}

/** As git and VS Code see it: a zero byte somewhere at the beginning. */
export const isBinary = (bytes: Uint8Array): boolean => bytes.subarray(0, 8192).includes(0);

const line = (text: string): Uint8Array => Buffer.from(`${text}\n`);

function summary(bytes: Uint8Array, entry: FileEntry): string {
  const kind = isBinary(bytes) ? 'binary file' : 'large file';
  return `${kind}, ${facts(entry)}\nsha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

const facts = ({ size, mode }: FileEntry): string => `${byteSize(size)}, mode ${mode.toString(8)}`;

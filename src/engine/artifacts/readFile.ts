import { isUtf8 } from 'node:buffer';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { ImageFiles } from '../../runtimes/runtime.ts';
import { incompleteTail, orphanedHead } from '../store/text.ts';

/** A character has at most so many bytes after its first. */
const REST_OF_CHARACTER = 3;

/** One page of a file. Text never starts or ends inside a character; a page always moves on. */
export async function readFile(
  files: Pick<ImageFiles, 'read'>,
  image: string,
  request: VerbRequest<'read_file'>,
): Promise<VerbResult<'read_file'>> {
  const { path, offset, length } = request;
  const { bytes, size } = await files.read(path, offset, length + REST_OF_CHARACTER);
  const text = textPage(bytes, { first: offset === 0, last: offset + bytes.length >= size, length });
  const asText = request.encoding === 'text' || (request.encoding === 'auto' && looksLikeText(text.bytes));
  const page = asText ? text : { skipped: 0, bytes: bytes.subarray(0, length) };
  const start = offset + page.skipped;
  const next = start + page.bytes.length;
  return {
    image,
    path,
    encoding: asText ? 'text' : 'base64',
    content: page.bytes.toString(asText ? 'utf8' : 'base64'),
    size,
    offset: start,
    next_offset: next,
    eof: next >= size,
  };
}

/** `bytes` reaches a little beyond the page, so that its last character can be whole. */
function textPage(
  bytes: Buffer,
  page: { readonly first: boolean; readonly last: boolean; readonly length: number },
): { readonly skipped: number; readonly bytes: Buffer } {
  const skipped = page.first ? 0 : orphanedHead(bytes);
  const whole = bytes.subarray(skipped, Math.max(page.length, skipped));
  // At the end of the file a broken character is all there will ever be of it.
  if (page.last && bytes.length <= page.length) return { skipped, bytes: whole };
  const cut = whole.subarray(0, whole.length - incompleteTail(whole));
  if (cut.length > 0) return { skipped, bytes: cut };
  // Less than one character was asked for: it gets one.
  const more = bytes.subarray(skipped);
  const end = more.findIndex((byte, index) => index > 0 && (byte & 0xc0) !== 0x80);
  return { skipped, bytes: end < 0 ? more : more.subarray(0, end) };
}

/** Programs and pictures may be valid UTF-8 here and there, but have zero bytes. */
function looksLikeText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !bytes.includes(0);
}

/** Cutting UTF-8 so that no character is split: a piece never starts or ends inside one. */

/** In bytes. */
export const LONGEST_CHARACTER = 4;

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

function sequenceLength(lead: number): number {
  if (lead >= 0xf0 && lead < 0xf8) return 4;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  if (lead >= 0xc0 && lead < 0xe0) return 2;
  return 1;
}

/** How many bytes of the end belong to a character that is not whole yet. */
export function incompleteTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (isContinuation(byte)) continue;
    return sequenceLength(byte) > back ? back : 0;
  }
  return 0;
}

/** How many bytes of the start belong to a character whose beginning was cut off. */
export function orphanedHead(bytes: Buffer): number {
  let count = 0;
  while (count < Math.min(3, bytes.length) && isContinuation(bytes[count]!)) count++;
  return count;
}

/** How many bytes the first character has; a broken one is as long as what there is of it. */
export function firstCharacter(bytes: Buffer): number {
  const length = Math.min(sequenceLength(bytes[0] ?? 0), bytes.length);
  let count = 1;
  while (count < length && isContinuation(bytes[count]!)) count++;
  return Math.min(count, bytes.length);
}

/** The first `limit` bytes as text, cut before a character that would not fit; `whole`: nothing comes after the bytes. */
export function headText(bytes: Buffer, limit: number, whole: boolean): string {
  const head = bytes.subarray(0, limit);
  const cut = bytes.length > limit || !whole ? incompleteTail(head) : 0;
  return head.subarray(0, head.length - cut).toString('utf8');
}

/** The last line that says something, without control sequences, short enough for a list. */
export function lastLineOf(bytes: Buffer): string {
  const text = bytes.subarray(orphanedHead(bytes)).toString('utf8');
  const lines = text.split(/[\r\n]+/).filter(line => line.trim() !== '');
  const line = (lines.at(-1) ?? '').replace(/\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g, '').trim();
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
}

import { TarError } from './tarError.ts';

/** A header's number: octal text, or binary (base 256) where its first bit is set. */
export function numberOf(block: Buffer, from: number, length: number): number {
  const number = readNumber(block, from, length);
  if (!Number.isSafeInteger(number)) throw new TarError('a number in a header is broken');
  return number;
}

/** The same, NaN or too large to count with where it is none. */
export function readNumber(block: Buffer, from: number, length: number): number {
  const first = block[from]!;
  return first >= 0x80 ? binary(block, from, length, first) : octal(block, from, length);
}

function octal(block: Buffer, from: number, length: number): number {
  let number = 0;
  let at = from;
  const end = from + length;
  while (at < end && block[at] === 0x20) at++;
  for (; at < end; at++) {
    const digit = block[at]! - 0x30;
    if (digit < 0 || digit > 7) break;
    number = number * 8 + digit;
  }
  for (; at < end; at++) {
    if (block[at] === 0) return number;
    if (block[at] !== 0x20) return Number.NaN;
  }
  return number;
}

/** Two's complement, the very first bit aside. */
function binary(block: Buffer, from: number, length: number, first: number): number {
  const negative = first === 0xff;
  let number = negative ? -1n : BigInt(first & 0x7f);
  for (let at = from + 1; at < from + length; at++) number = (number << 8n) | BigInt(block[at]!);
  return Number(number);
}

/** Headers of a tar that every reader takes: ustar, with a pax header before it where that says too little. */

export interface TarHeader {
  /** Byte path: a character a byte. */
  readonly name: string;
  /** Default: a file. */
  readonly type?: 'file' | 'directory' | 'link';
  /** Where a link leads: a character a byte. */
  readonly link?: string;
  readonly mode?: number;
  readonly size?: number;
  /** Seconds. */
  readonly mtime?: number;
}

export const TAR_BLOCK = 512;
/** What octal text in ustar's field can say. */
const LARGEST_OCTAL = 0o77777777777;

export function encodeHeader(header: TarHeader): Buffer {
  const { name, size = 0, link = '' } = header;
  const records: [string, string][] = [];
  if (saysTooLittle(name)) records.push(['path', name]);
  if (saysTooLittle(link)) records.push(['linkpath', link]);
  const block = ustar(name, types[header.type ?? 'file'], header.mode ?? 0o644, size, header.mtime ?? 0, link);
  return records.length === 0 ? block : Buffer.concat([encodePax(records), block]);
}

const types = { file: '0', link: '2', directory: '5' } as const;

const saysTooLittle = (name: string): boolean => name.length > 100 || /[^\0-\x7f]/.test(name);

/** A header of records for the entry behind it, its content and all. */
export function encodePax(records: readonly (readonly [key: string, value: string])[]): Buffer {
  const content = Buffer.from(records.map(record).join(''), 'latin1');
  return Buffer.concat([ustar('PaxHeader', 'x', 0o644, content.length, 0), content, tarPadding(content.length)]);
}

/** What follows a content of that size. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK);
}

export const TAR_END = Buffer.alloc(2 * TAR_BLOCK);

function ustar(name: string, type: string, mode: number, size: number, mtime: number, link = ''): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  block.write(name.slice(0, 100), 0, 'latin1');
  block.write(octal(mode, 8), 100);
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  writeSize(block, size);
  block.write(octal(Math.max(0, Math.floor(mtime)), 12), 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write(link.slice(0, 100), 157, 'latin1');
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

/** Binary where octal text is too short, which all readers of today take. */
function writeSize(block: Buffer, size: number): void {
  if (size <= LARGEST_OCTAL) block.write(octal(size, 12), 124);
  else {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
}

function octal(number: number, length: number): string {
  return `${number.toString(8).padStart(length - 1, '0')}\0`;
}

/** `LENGTH key=value\n`, the length counting its own digits. */
function record([key, value]: readonly [string, string]): string {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

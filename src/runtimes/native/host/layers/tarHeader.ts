import { TarError } from './tarError.ts';
import { numberOf, readNumber } from './tarNumber.ts';
import { listedSegments, type Segment } from './tarSparse.ts';

export type EntryType = 'file' | 'directory' | 'symlink' | 'link' | 'device' | 'fifo';

export interface TarEntry {
  readonly type: EntryType;
  /** Byte paths: a character a byte. */
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** Of the file, holes and all. */
  readonly size: number;
  /** In the archive. */
  readonly packedSize: number;
  /** How it says where its pieces are; undefined: it has no holes. */
  readonly sparse: 'old' | 'listed' | 'map' | undefined;
  readonly segments: Segment[] | undefined;
  readonly xattrs: readonly (readonly [name: string, value: Buffer])[];
}

export interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

/** What the headers before an entry say of it, by pax's names; values are byte strings. */
export type Overrides = Readonly<Record<string, string>>;

const types: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
};
const xattrPrefix = 'SCHILY.xattr.';
const listKey = 'GNU.sparse.pieces';
const longestName = 4096;

export function entryOf(block: Buffer, global: Overrides, own: Overrides): TarEntry {
  checkSum(block);
  const said: Overrides = Object.keys(global).length === 0 ? own : { ...global, ...own };
  const letter = String.fromCharCode(block[156]!);
  const name = nameOf(block, said);
  const link = checked(said.linkpath || text(block, 157, 100));
  const declared = said.size ? decimal(said.size) : numberOf(block, 124, 12);
  if (declared < 0) throw new TarError('a number in a header is broken');
  const special = 'xXgLK'.includes(letter);
  const type = letter === '\0' && name.endsWith('/') ? 'directory' : types[letter];
  if (type === undefined && !special) throw new TarError(`${shown(name)} is of a kind that cannot be read (${letter})`);
  // Others have no content, whatever their header says.
  const packedSize = type === 'file' || special ? declared : 0;
  const sparse = type === 'file' ? sparseKind(letter, said) : undefined;
  const size = sparse === undefined ? packedSize : realSize(block, sparse, said);
  return {
    type: type ?? 'file',
    name,
    link,
    mode: numberOf(block, 100, 8) & 0o7777,
    uid: said.uid ? decimal(said.uid) : numberOf(block, 108, 8),
    gid: said.gid ? decimal(said.gid) : numberOf(block, 116, 8),
    mtime: said.mtime ? timeOf(said.mtime) : { seconds: numberOf(block, 136, 12), nanos: 0 },
    size,
    packedSize,
    sparse,
    segments:
      sparse === 'listed'
        ? listedSegments((said[listKey] ?? said['GNU.sparse.map'] ?? '').split(',').filter(Boolean), size)
        : undefined,
    xattrs: xattrsOf(said),
  };
}

/** What a special header says of the entry behind it. */
export function overridesOf(type: string, bytes: Buffer): Overrides {
  const content = bytes.toString('latin1');
  if (type === 'L') return { path: untilZero(content) };
  if (type === 'K') return { linkpath: untilZero(content) };
  return paxRecords(content);
}

/** `LENGTH key=value\n`, the length counting itself. */
function paxRecords(content: string): Overrides {
  const records: Record<string, string> = Object.create(null);
  const pieces: string[] = [];
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(' ', at);
    const length = space < 0 || space - at > 8 ? Number.NaN : decimal(content.slice(at, space));
    const end = at + length;
    const equals = content.indexOf('=', space);
    if (!(end <= content.length) || length < 5 || content[end - 1] !== '\n' || equals < 0 || equals >= end)
      throw new TarError('a pax header is broken');
    const key = content.slice(space + 1, equals);
    const value = content.slice(equals + 1, end - 1);
    // pax 0.0 names them in turn, under the same two names again and again.
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') pieces.push(value);
    else records[key] = value;
    at = end;
  }
  if (pieces.length > 0) records[listKey] = pieces.join(',');
  return records;
}

function nameOf(block: Buffer, said: Overrides): string {
  const named = said['GNU.sparse.name'] || said.path;
  if (named) return checked(named);
  const name = text(block, 0, 100);
  // GNU has other things where ustar's prefix is.
  const prefix = text(block, 257, 8) === 'ustar' && block[262] === 0 ? text(block, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function checked(name: string): string {
  if (name.length > longestName) throw new TarError(`a name of ${name.length} bytes`);
  if (name.includes('\0')) throw new TarError('a name with a zero byte');
  return name;
}

function sparseKind(letter: string, said: Overrides): TarEntry['sparse'] {
  if (letter === 'S') return 'old';
  if (said['GNU.sparse.major'] === '1' && said['GNU.sparse.minor'] === '0') return 'map';
  if (said[listKey] !== undefined || said['GNU.sparse.map'] !== undefined) return 'listed';
  if (said['GNU.sparse.major'] !== undefined || said['GNU.sparse.realsize'] !== undefined)
    throw new TarError('a sparse file of a kind that cannot be read');
  return undefined;
}

function realSize(block: Buffer, sparse: NonNullable<TarEntry['sparse']>, said: Overrides): number {
  const size =
    sparse === 'old' ? numberOf(block, 483, 12) : decimal(said['GNU.sparse.realsize'] ?? said['GNU.sparse.size'] ?? '');
  if (size < 0) throw new TarError('a number in a header is broken');
  return size;
}

function xattrsOf(said: Overrides): TarEntry['xattrs'] {
  const found: [string, Buffer][] = [];
  for (const key in said)
    if (key.startsWith(xattrPrefix)) found.push([key.slice(xattrPrefix.length), Buffer.from(said[key]!, 'latin1')]);
  return found;
}

/** `1700000000.123456789`, also negative: then the fraction counts down. */
function timeOf(written: string): Time {
  const parts = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(written);
  if (parts === null) throw new TarError('a time in a pax header is broken');
  const nanos = Number((parts[3] ?? '').padEnd(9, '0').slice(0, 9));
  const seconds = Number(parts[2]);
  if (parts[1] === '') return { seconds, nanos };
  return nanos === 0 ? { seconds: -seconds, nanos } : { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos };
}

function decimal(written: string): number {
  const number = /^-?\d{1,16}$/.test(written) ? Number(written) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new TarError('a number in a pax header is broken');
  return number;
}

function checkSum(block: Buffer): void {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let at = 0; at < 512; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at]!;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  const said = readNumber(block, 148, 8);
  // Some of old added signed bytes.
  if (said !== unsigned && said !== signed) throw new TarError('it is no tar, or it is broken');
}

function text(block: Buffer, from: number, length: number): string {
  return untilZero(block.toString('latin1', from, from + length));
}

function untilZero(content: string): string {
  const end = content.indexOf('\0');
  return end < 0 ? content : content.slice(0, end);
}

/** For people. */
export function shown(name: string): string {
  return Buffer.from(name, 'latin1').toString();
}

import { closeSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { type LayoutFiles, type Stretch, wholeFile } from './layoutFiles.ts';
import { notAnImage } from './manifest.ts';

const BLOCK = 512;
/** An image's archive has a handful of files; and a name or a record has a few hundred bytes. */
const MOST_ENTRIES = 100_000;
const LONGEST_RECORD = 1_048_576;
const MOST_LINKS = 8;

type Entry = { readonly start: number; readonly size: number } | { readonly link: string };

/**
 * A layout as a tar, read in place: only the headers are looked at, so an archive of gigabytes opens at once.
 * Links lead from name to name inside it and nowhere else.
 */
export function tarFiles(file: string, place: string = file): LayoutFiles {
  const fd = openSync(file, 'r');
  try {
    const entries = readHeaders(fd, wholeFile(fd).size, place);
    return {
      place,
      open: name => openEntry(file, entries, name),
      [Symbol.dispose]: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openEntry(file: string, entries: ReadonlyMap<string, Entry>, name: string): Stretch | undefined {
  let at = normal(name);
  for (let links = 0; links <= MOST_LINKS; links++) {
    const entry = entries.get(at);
    if (!entry) return undefined;
    if (!('link' in entry)) return { fd: openSync(file, 'r'), ...entry };
    at = entry.link;
  }
  return undefined;
}

const normal = (name: string): string => path.posix.normalize(name).replace(/^(?:\.?\/)+/, '');

/** Walks from header to header. The later of two entries with one name is the one that counts. */
function readHeaders(fd: number, size: number, place: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const header = Buffer.alloc(BLOCK);
  let next: { name?: string; link?: string; size?: number } = {};
  for (let at = 0, count = 0; at + BLOCK <= size; count++) {
    readSync(fd, header, 0, BLOCK, at);
    if (header.every(byte => byte === 0)) break;
    if (count > MOST_ENTRIES || !hasRightChecksum(header)) throw notAnImage(`${place} is not a tar`);
    const length = next.size ?? numberAt(header, 124, 12);
    const type = String.fromCharCode(header[156]!);
    const start = at + BLOCK;
    if (!Number.isSafeInteger(length) || length < 0 || start + length > size)
      throw notAnImage(`${place} is cut off: an entry of it reaches beyond its end`);
    at = start + Math.ceil(length / BLOCK) * BLOCK;
    if ('xgLK'.includes(type)) {
      if (type !== 'g') next = { ...next, ...readRecord(fd, start, length, type, place) };
      continue;
    }
    const name = normal(next.name ?? nameOf(header));
    const target = next.link ?? textAt(header, 157, 100);
    if (type === '0' || type === '\0' || type === '7') entries.set(name, { start, size: length });
    else if (type === '1') entries.set(name, { link: normal(target) });
    else if (type === '2') entries.set(name, { link: normal(path.posix.join(path.posix.dirname(name), target)) });
    next = {};
  }
  return entries;
}

/** Long names by GNU's entries or by pax records, which also tell sizes beyond eight gigabytes. */
function readRecord(
  fd: number,
  start: number,
  length: number,
  type: string,
  place: string,
): { name?: string; link?: string; size?: number } {
  if (length > LONGEST_RECORD) throw notAnImage(`${place} has a name of ${length} bytes`);
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, start);
  const text = bytes.toString();
  if (type === 'L') return { name: text.replace(/\0.*$/s, '') };
  if (type === 'K') return { link: text.replace(/\0.*$/s, '') };
  const found: { name?: string; link?: string; size?: number } = {};
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const end = at + Number(bytes.toString('latin1', at, blank));
    if (blank < 0 || !(end > blank && end <= bytes.length)) break;
    const [, key, value] = /^([^=]+)=(.*)\n$/s.exec(bytes.toString('utf8', blank + 1, end)) ?? [];
    if (key === 'path') found.name = value!;
    if (key === 'linkpath') found.link = value!;
    if (key === 'size') found.size = Number(value);
    at = end;
  }
  return found;
}

function nameOf(header: Buffer): string {
  const name = textAt(header, 0, 100);
  const prefix =
    header.toString('latin1', 257, 262) === 'ustar' && header[263] === 0x30 ? textAt(header, 345, 155) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textAt(header: Buffer, at: number, length: number): string {
  const end = header.indexOf(0, at);
  return header.toString('utf8', at, end < 0 || end > at + length ? at + length : end);
}

/** Octal, or GNU's big-endian binary where that is too short. */
function numberAt(header: Buffer, at: number, length: number): number {
  if ((header[at]! & 0x80) === 0) return Number.parseInt(textAt(header, at, length).trim() || '0', 8);
  return Number(header.readBigUInt64BE(at + length - 8));
}

function hasRightChecksum(header: Buffer): boolean {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at]!;
  return sum === numberAt(header, 148, 8);
}

import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { TarEntry } from '../../src/runtimes/native/host/layers/tarHeader.ts';
import { TarReader } from '../../src/runtimes/native/host/layers/tarReader.ts';

/** What is at a name, in one line: all that a tar says of it. */
export type TarPicture = ReadonlyMap<string, string>;

export interface PictureOptions {
  /** Names whose time is nobody's: that of unpacking. */
  readonly timeless?: ReadonlySet<string>;
}

/**
 * A tree as a tar shows it, in a form that does not depend on who packed it: the order of entries, and which of several names
 * of a file comes first, are left to them.
 */
export async function tarPicture(file: string, options: PictureOptions = {}): Promise<TarPicture> {
  const found = new Map<string, { entry: TarEntry; content: string }>();
  const links: { name: string; target: string }[] = [];
  let current: { name: string; entry: TarEntry; hash: Hash; at: number } | undefined;
  const reader = new TarReader({
    entry(entry) {
      const name = plain(entry.name);
      if (entry.type === 'link') links.push({ name, target: plain(entry.link) });
      else current = { name, entry, hash: createHash('sha256'), at: 0 };
    },
    data(bytes, position) {
      // Holes are zeros.
      fill(current!, position);
      current!.hash.update(bytes);
      current!.at = position + bytes.length;
    },
    end() {
      if (current === undefined) return;
      fill(current, current.entry.size);
      found.set(current.name, { entry: current.entry, content: current.hash.digest('hex').slice(0, 16) });
      current = undefined;
    },
  });
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) reader.write(chunk as Buffer);
  reader.finish();
  const names = new Map<string, string[]>([...found.keys()].map(name => [name, [name]]));
  for (const { name, target } of links) {
    const group = names.get(target);
    if (group === undefined) throw new Error(`${name} is a link to ${target}, which did not come before it`);
    group.push(name);
    names.set(name, group);
  }
  const lines = [...names].map(([name, group]): [string, string] => {
    const { entry, content } = found.get(group[0]!)!;
    const first = [...group].sort()[0]!;
    return [name, line(entry, content, group.length > 1 ? ` = ${first}` : '', options.timeless?.has(name) === true)];
  });
  return new Map(lines.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What differs, a line each; nothing when they are the same. */
export function pictureDifference(a: TarPicture, b: TarPicture): readonly string[] {
  const names = [...new Set([...a.keys(), ...b.keys()])].sort();
  return names
    .filter(name => a.get(name) !== b.get(name))
    .map(name => `${name}: ${a.get(name) ?? 'not there'} | ${b.get(name) ?? 'not there'}`);
}

function line(
  { type, mode, uid, gid, mtime, size, link, xattrs }: TarEntry,
  content: string,
  same: string,
  timeless: boolean,
): string {
  const time = timeless ? '-' : `${mtime.seconds}.${String(mtime.nanos).padStart(9, '0')}`;
  const attributes = xattrs.map(([name, value]) => `${name}=${value.toString('hex')}`).sort();
  const what = type === 'file' ? `${size} ${content}` : type === 'symlink' ? `→ ${link}` : '';
  return [type, mode.toString(8), `${uid}:${gid}`, time, what, ...attributes].join(' ').trim() + same;
}

function fill(file: { readonly hash: Hash; at: number }, to: number): void {
  while (file.at < to) {
    const length = Math.min(1 << 20, to - file.at);
    file.hash.update(Buffer.alloc(length));
    file.at += length;
  }
}

function plain(name: string): string {
  return name
    .split('/')
    .filter(step => step !== '' && step !== '.')
    .join('/');
}

import { createHash } from 'node:crypto';
import type { BytePath } from '../../workspace/bytePath.ts';

/** A synced folder in memory: what the state holds, and what is needed to know cheaply whether it still is so. */
export type Node = FileNode | LinkNode | FolderNode;

export interface FileNode {
  readonly kind: 'file';
  readonly mode: number;
  readonly size: number;
  readonly sha256: string;
  readonly mtime: number;
  readonly ctime: number;
  readonly ino: number;
  /** Changed so shortly before it was read that another change may carry the same times: read it again next time. */
  readonly racy: boolean;
}

export interface LinkNode {
  readonly kind: 'link';
  readonly target: BytePath;
  readonly mtime: number;
}

export interface FolderNode {
  readonly kind: 'folder';
  readonly mode: number;
  readonly mtime: number;
  /** Sorted by bytes. */
  readonly entries: ReadonlyMap<BytePath, Node>;
  /** What its ignore files say. */
  readonly ignores: Readonly<Record<string, string>>;
  /** Hash of names, modes and content: what a state's id is made of. */
  readonly identity: string;
  /** Hash of the same with times: what the store keeps. */
  readonly stored: string;
  readonly files: number;
  readonly bytes: number;
}

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex');

export function makeFolder(
  mode: number,
  mtime: number,
  entries: Iterable<readonly [BytePath, Node]>,
  ignores: FolderNode['ignores'],
): FolderNode {
  const sorted = new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  let files = 0;
  let bytes = 0;
  let identity = '';
  for (const [name, node] of sorted) {
    identity += identityLine(name, node);
    if (node.kind === 'folder') {
      files += node.files;
      bytes += node.bytes;
    } else {
      files++;
      bytes += node.kind === 'file' ? node.size : 0;
    }
  }
  return {
    kind: 'folder',
    mode,
    mtime,
    entries: sorted,
    ignores,
    identity: sha256(identity),
    stored: sha256(storedText(sorted)),
    files,
    bytes,
  };
}

function identityLine(name: BytePath, node: Node): string {
  switch (node.kind) {
    case 'file':
      return `f ${node.mode.toString(8)} ${node.sha256} ${name}\0`;
    case 'link':
      return `l ${node.target}\0${name}\0`;
    case 'folder':
      return `d ${node.mode.toString(8)} ${node.identity} ${name}\0`;
  }
}

/** A folder's object in the store, by whose hash it is found again. */
export function storedText(entries: ReadonlyMap<BytePath, Node>): string {
  let text = '';
  for (const [name, node] of entries) {
    if (node.kind === 'file') text += `f ${node.mode.toString(8)} ${node.mtime} ${node.size} ${node.sha256}\0${name}\0`;
    else if (node.kind === 'link') text += `l 0 ${node.mtime} 0 ${node.target}\0${name}\0`;
    else text += `d ${node.mode.toString(8)} ${node.mtime} 0 ${node.stored}\0${name}\0`;
  }
  return text;
}

export interface StoredEntry {
  readonly kind: Node['kind'];
  readonly name: BytePath;
  readonly mode: number;
  readonly mtime: number;
  readonly size: number;
  /** A file's hash, a link's target, a folder's object. */
  readonly value: string;
}

const KINDS: Readonly<Record<string, Node['kind']>> = { f: 'file', l: 'link', d: 'folder' };

export function parseStored(text: string): StoredEntry[] {
  const parts = text.split('\0');
  const entries: StoredEntry[] = [];
  for (let index = 0; index + 1 < parts.length; index += 2) {
    const fields = parts[index]!.split(' ');
    const [kind, mode, mtime, size] = fields as [string, string, string, string];
    // A link's target may hold spaces.
    const value = fields.slice(4).join(' ');
    entries.push({
      kind: KINDS[kind]!,
      name: parts[index + 1]!,
      mode: Number.parseInt(mode, 8),
      mtime: Number(mtime),
      size: Number(size),
      value,
    });
  }
  return entries;
}

/** Content, modes, destination and owner make the id; times and the place it came from do not. */
export function stateId(root: FolderNode, destination: string, owner: string | undefined): `ds-${string}` {
  return `ds-${sha256(`coppice directory state 1\0${Buffer.from(destination).toString('latin1')}\0${owner ?? '0:0'}\0${root.mode.toString(8)}\0${root.identity}`).slice(0, 40)}`;
}

export interface Difference {
  added: number;
  modified: number;
  deleted: number;
}

/** Counts files and links; folders that are the same are not entered. */
export function compareTrees(before: FolderNode | undefined, after: FolderNode): Difference {
  const difference: Difference = { added: 0, modified: 0, deleted: 0 };
  if (before) compareFolders(before, after, difference);
  else difference.added = after.files;
  return difference;
}

function compareFolders(before: FolderNode, after: FolderNode, difference: Difference): void {
  if (before.identity === after.identity) return;
  for (const [name, node] of after.entries) {
    const old = before.entries.get(name);
    if (node.kind === 'folder') {
      if (old?.kind === 'folder') compareFolders(old, node, difference);
      else {
        difference.added += node.files;
        if (old) difference.deleted++;
      }
    } else if (old === undefined) difference.added++;
    else if (old.kind === 'folder') {
      difference.deleted += old.files;
      difference.added++;
    } else if (!sameContent(old, node)) difference.modified++;
  }
  for (const [name, old] of before.entries) {
    if (!after.entries.has(name)) difference.deleted += old.kind === 'folder' ? old.files : 1;
  }
}

function sameContent(a: FileNode | LinkNode, b: FileNode | LinkNode): boolean {
  if (a.kind === 'link' || b.kind === 'link')
    return a.kind === b.kind && (a as LinkNode).target === (b as LinkNode).target;
  return a.sha256 === b.sha256 && a.mode === b.mode;
}

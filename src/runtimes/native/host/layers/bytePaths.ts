import * as fs from 'node:fs';

/**
 * Names in a sandbox's files are bytes, not always text. In a *byte path* each character stands for one byte (latin1),
 * so no name is mangled; our own folders are plain ASCII, which is the same either way.
 */

export function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** For people: bytes that are not UTF-8 become replacement characters. */
export function text(path: string): string {
  return bytes(path).toString();
}

export function namesOf(folder: string): string[] {
  return fs.readdirSync(bytes(folder), { encoding: 'latin1' });
}

export function entriesOf(folder: string): fs.Dirent[] {
  return fs.readdirSync(bytes(folder), { encoding: 'latin1', withFileTypes: true });
}

export function look(path: string): fs.Stats | undefined {
  return fs.lstatSync(bytes(path), { throwIfNoEntry: false });
}

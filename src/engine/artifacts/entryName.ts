import path from 'node:path';

/**
 * A name from an image, one character a byte (latin1), so that names in any encoding pass through unharmed. A path below
 * the folder that is downloaded; '' is that folder itself.
 */
export type EntryName = string;

export const fromText = (text: string): EntryName => Buffer.from(text).toString('latin1');

/** For people; bytes that are no UTF-8 are shown as such. */
export const shown = (name: EntryName): string => Buffer.from(name, 'latin1').toString();

/** undefined: it would lead somewhere else than below the folder it is taken from. */
export function stepsOf(name: EntryName): string[] | undefined {
  if (name.startsWith('/')) return undefined;
  const steps = name.split('/').filter(step => step !== '' && step !== '.');
  return steps.some(isNoName) ? undefined : steps;
}

const isNoName = (step: string): boolean =>
  step === '..' || step.includes('\0') || (process.platform === 'win32' && /[\\:]/.test(step));

/** The place of an entry on this machine. */
export function placeOf(folder: string, steps: readonly string[]): string | Buffer {
  const name = steps.join('/');
  if (/^[\x00-\x7f]*$/.test(name)) return path.join(folder, name);
  const bytes = Buffer.from(name, 'latin1');
  if (process.platform === 'win32') return path.join(folder, bytes.toString());
  return Buffer.concat([Buffer.from(folder.endsWith('/') ? folder : `${folder}/`), bytes]);
}

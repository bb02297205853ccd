/** Reads values that come from outside one field at a time. Whatever is not as it must be makes the whole unreadable. */

export class Unreadable extends Error {
  constructor(field: string, expected: string) {
    super(`${field} is not ${expected}`);
  }
}

export type Fields = Readonly<Record<string, unknown>>;

export function record(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Unreadable(field, 'an object');
  return value as Fields;
}

/** Refuses names that nobody asked for: what is misspelt would be lost in silence. */
export function only(value: Fields, field: string, names: readonly string[]): Fields {
  const unknown = Object.keys(value).find(name => !names.includes(name));
  if (unknown !== undefined) throw new Unreadable(`${field}.${unknown}`, 'known');
  return value;
}

export function text(value: unknown, field: string, most: number): string {
  if (typeof value !== 'string' || value.length > most || value.includes('\0'))
    throw new Unreadable(field, `text of at most ${most} characters`);
  return value;
}

export function boolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw new Unreadable(field, 'true or false');
  return value;
}

export function number(value: unknown, field: string, least: number, most: number): number {
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw new Unreadable(field, `a number from ${least} to ${most}`);
  return value;
}

export function integer(value: unknown, field: string, least: number, most: number): number {
  if (!Number.isInteger(value)) throw new Unreadable(field, 'a whole number');
  return number(value, field, least, most);
}

export function oneOf<T extends string>(value: unknown, field: string, choices: readonly T[]): T {
  if (!choices.includes(value as T)) throw new Unreadable(field, `one of ${choices.join(', ')}`);
  return value as T;
}

export function list<T>(value: unknown, field: string, most: number, read: (value: unknown, field: string) => T): T[] {
  if (!Array.isArray(value) || value.length > most) throw new Unreadable(field, `a list of at most ${most}`);
  return value.map((item, index) => read(item, `${field}.${index}`));
}

export const orNull = <T>(value: unknown, read: (value: unknown) => T): T | null =>
  value === null ? null : read(value);

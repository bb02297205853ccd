/** What a word may be once its variables are filled in: they can name each other, and double with every line. */
export const longestWord = 32 * 1024;

export class TooLongError extends Error {
  constructor() {
    super(`with its variables filled in it is longer than ${longestWord / 1024} KB`);
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-else}` and `${NAME:+then}`, as FROM knows them. What has no value is empty. */
export function expanded(text: string, value: (name: string) => string | undefined, escapeCharacter = '\\'): string {
  const escaped = escapeCharacter === '`' ? '`' : '\\\\';
  const variable = new RegExp(`${escaped}(.)|\\$(?:(\\w+)|\\{(\\w+)(?::([-+])((?:[^{}]|\\$\\{[^{}]*\\})*))?\\})`, 'gs');
  const fill = (literal?: string, bare?: string, name?: string, how?: string, other = ''): string => {
    if (literal !== undefined) return literal;
    const found = value(bare ?? name!) ?? '';
    if (how === '-') return found === '' ? expanded(other, value, escapeCharacter) : found;
    if (how === '+') return found === '' ? '' : expanded(other, value, escapeCharacter);
    return found;
  };
  let length = 0;
  const filled = text.replace(variable, (_all, ...groups: (string | undefined)[]) => {
    const part = fill(...groups.slice(0, 5));
    length += part.length;
    if (length > longestWord) throw new TooLongError();
    return part;
  });
  if (filled.length > longestWord) throw new TooLongError();
  return filled;
}

/** Quotes hold a word together and are no part of it. */
export function words(text: string): string[] {
  const found = text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return found.map(word =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_all, double?: string, single?: string) => double ?? single ?? ''),
  );
}

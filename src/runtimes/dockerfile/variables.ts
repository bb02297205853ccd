/** `$NAME`, `${NAME}`, `${NAME:-else}` and `${NAME:+then}`, as FROM knows them. What has no value is empty. */
export function expanded(text: string, value: (name: string) => string | undefined, escapeCharacter = '\\'): string {
  const escaped = escapeCharacter === '`' ? '`' : '\\\\';
  const variable = new RegExp(`${escaped}(.)|\\$(?:(\\w+)|\\{(\\w+)(?::([-+])((?:[^{}]|\\$\\{[^{}]*\\})*))?\\})`, 'gs');
  return text.replace(
    variable,
    (_all, literal?: string, bare?: string, name?: string, how?: string, other = ''): string => {
      if (literal !== undefined) return literal;
      const found = value(bare ?? name!) ?? '';
      if (how === '-') return found === '' ? expanded(other, value, escapeCharacter) : found;
      if (how === '+') return found === '' ? '' : expanded(other, value, escapeCharacter);
      return found;
    },
  );
}

/** Quotes hold a word together and are no part of it. */
export function words(text: string): string[] {
  const found = text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return found.map(word =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_all, double?: string, single?: string) => double ?? single ?? ''),
  );
}

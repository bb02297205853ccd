/** What a registry asks for before it answers, from `WWW-Authenticate`. */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = /[\w!#$%&'*+.^`|~-]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;

/** All challenges of one header, which may hold several; what cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (at < header.length) {
    take(/[\s,]*/y);
    const word = take(TOKEN)?.[0];
    if (word === undefined) break;
    if (take(/\s*=\s*/y) === null) {
      found.push({ scheme: word.toLowerCase(), parameters: {} });
      continue;
    }
    const value = take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') ?? take(TOKEN)?.[0];
    const current = found.at(-1);
    if (value === undefined || current === undefined) break;
    current.parameters[word.toLowerCase()] = value;
  }
  return found;
}

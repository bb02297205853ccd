import path from 'node:path';
import { invalidInput } from '../../protocol/errors.ts';

interface Pattern {
  readonly text: string;
  /** `!`: what it matches is taken after all. */
  readonly exception: boolean;
  readonly matches: RegExp;
}

/** What a `.dockerignore` leaves out of a build's context, as Docker reads it: the last pattern that matches decides. */
export class Dockerignore {
  readonly #patterns: readonly Pattern[];

  private constructor(patterns: readonly Pattern[]) {
    this.#patterns = patterns;
  }

  static parse(text: string): Dockerignore {
    const patterns = text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .map(readLine);
    return new Dockerignore(patterns.filter(pattern => pattern !== undefined));
  }

  /** `file` is relative to the context, with slashes. A pattern that matches a folder matches all in it. */
  leavesOut(file: string): boolean {
    const steps = file.split('/');
    const places = steps.map((_step, index) => steps.slice(0, index + 1).join('/'));
    let out = false;
    for (const { exception, matches } of this.#patterns) {
      if (exception === out && places.some(place => matches.test(place))) out = !exception;
    }
    return out;
  }

  /** A folder that is left out is entered all the same when an exception names something in it. */
  isEntered(folder: string): boolean {
    return this.#patterns.some(({ exception, text }) => exception && `${text}/`.startsWith(`${folder}/`));
  }
}

function readLine(line: string, index: number): Pattern | undefined {
  if (line.startsWith('#')) return undefined;
  const trimmed = line.trim();
  if (trimmed === '') return undefined;
  const exception = trimmed.startsWith('!');
  const text = cleaned(exception ? trimmed.slice(1).trim() : trimmed);
  try {
    if (text === '') throw new Error('an exception of nothing');
    return { text, exception, matches: new RegExp(`^${expressionOf(text)}$`, 'su') };
  } catch {
    throw invalidInput('context', `its .dockerignore has no pattern in line ${index + 1}: ${trimmed}`);
  }
}

/** As Go's filepath.Clean, and from the context on: a slash before it says nothing. */
function cleaned(pattern: string): string {
  if (pattern === '') return '';
  const clean = path.posix.normalize(pattern).replace(/(?<=.)\/$/, '');
  return clean.length > 1 ? clean.replace(/^\//, '') : clean;
}

/** `**` stands for any number of folders, none included. */
function expressionOf(pattern: string): string {
  const characters = [...pattern];
  let expression = '';
  let inClass = false;
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!;
    if (character === '*' && !inClass) {
      if (characters[at + 1] !== '*') {
        expression += '[^/]*';
        continue;
      }
      at++;
      if (characters[at + 1] === '/') at++;
      expression += at + 1 === characters.length ? '.*' : '(?:.*/)?';
    } else if (character === '?' && !inClass) expression += '[^/]';
    else if (character === '\\') {
      at++;
      if (at === characters.length) throw new Error('nothing is escaped');
      expression += literal(characters[at]!, inClass);
    } else if (character === '[' && !inClass) {
      inClass = true;
      expression += characters[at + 1] === '^' ? '[^' : '[';
      if (characters[at + 1] === '^') at++;
      if (characters[at + 1] === ']') throw new Error('an empty class');
    } else if (character === ']' && inClass) {
      inClass = false;
      expression += ']';
    } else if (character === '-' && inClass) expression += '-';
    else expression += literal(character, inClass);
  }
  if (inClass) throw new Error('a class without an end');
  return expression;
}

const literal = (character: string, inClass: boolean): string =>
  /[\^$\\.*+?()[\]{}|/]/.test(character) || (inClass && character === '-') ? `\\${character}` : character;

/** A Dockerfile as Docker's own parser cuts it up: as much of it as is needed to find, read and exchange instructions. */

export interface Instruction {
  /** In capitals. */
  readonly keyword: string;
  /** What follows the keyword and its flags, continued lines joined. */
  readonly text: string;
  /** `--name=value`, as written. */
  readonly flags: readonly string[];
  /** Lines of the file, from 0, the last one included. */
  readonly first: number;
  readonly last: number;
  /** Its lines hold a here-document. */
  readonly heredoc: boolean;
}

export interface Instructions {
  readonly lines: readonly string[];
  readonly all: readonly Instruction[];
  /** What a line is continued with. */
  readonly escapeCharacter: string;
}

const TAKES_HEREDOC = new Set(['RUN', 'COPY', 'ADD']);
const HEREDOC = /(?:^|\s)\d*<<(-?)(["']?)([A-Za-z_][\w.]*)\2/g;

export function readInstructions(source: string): Instructions {
  const lines = source.replace(/^\uFEFF/, '').split(/\r?\n/);
  const escapeCharacter = escapeOf(lines);
  const all: Instruction[] = [];
  const ends = new HeredocEnds(lines);
  for (let at = 0; at < lines.length; at++) {
    if (isSkipped(lines[at]!)) continue;
    const { text, last } = joined(lines, at, escapeCharacter);
    const instruction = withHeredoc(ends, read(text, at, last));
    all.push(instruction);
    at = instruction.last;
  }
  return { lines, all, escapeCharacter };
}

const isSkipped = (line: string): boolean => /^\s*(#|$)/.test(line);

/** Directives stand above everything else, other comments included. */
function escapeOf(lines: readonly string[]): string {
  for (const line of lines) {
    const [, name, value] = /^\s*#\s*([A-Za-z]+)\s*=\s*(.+?)\s*$/.exec(line) ?? [];
    if (name === undefined) break;
    if (name.toLowerCase() === 'escape') return value === '`' ? '`' : '\\';
  }
  return '\\';
}

/** Comments and empty lines between continued lines are no part of them. */
function joined(lines: readonly string[], first: number, escapeCharacter: string): { text: string; last: number } {
  let text = '';
  for (let at = first; at < lines.length; at++) {
    if (at > first && isSkipped(lines[at]!)) continue;
    const [line, goesOn] = continued(lines[at]!, escapeCharacter);
    text += at === first ? line.trimStart() : line;
    if (!goesOn) return { text: text.trim(), last: at };
  }
  return { text: text.trim(), last: lines.length - 1 };
}

export function continued(line: string, escapeCharacter: string): readonly [line: string, goesOn: boolean] {
  // Nothing else may follow: what the daemon takes for the next instruction must not be hidden in this one.
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  return line[end - 1] === escapeCharacter ? [line.slice(0, end - 1), true] : [line, false];
}

function read(text: string, first: number, last: number): Instruction {
  const [, keyword = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  const flags: string[] = [];
  let left = rest;
  for (let flag = leadingFlag(left); flag !== undefined; flag = leadingFlag(left)) {
    flags.push(flag);
    left = left.slice(flag.length).trimStart();
  }
  return { keyword: keyword.toUpperCase(), text: left, flags, first, last, heredoc: false };
}

const leadingFlag = (text: string): string | undefined => /^--[A-Za-z][\w-]*(?:=\S*)?(?=\s|$)/.exec(text)?.[0];

/** The lines up to each here-document's end belong to the instruction. */
function withHeredoc(ends: HeredocEnds, instruction: Instruction): Instruction {
  if (!TAKES_HEREDOC.has(instruction.keyword)) return instruction;
  let last = instruction.last;
  let heredoc = false;
  for (const [, dash, , word] of instruction.text.matchAll(HEREDOC)) {
    const end = ends.after(last, word!, dash === '-');
    // Without its end it is no here-document: a shell's `<<` in a file of the old kind.
    if (end === undefined) continue;
    last = end;
    heredoc = true;
  }
  return { ...instruction, last, heredoc };
}

/** Where each line of a file that could end a here-document is. It is only ever asked further down, so each is passed once. */
class HeredocEnds {
  readonly #lines: readonly string[];
  #whole: Map<string, number[]> | undefined;
  #indented: Map<string, number[]> | undefined;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  after(line: number, word: string, indented: boolean): number | undefined {
    const places = (indented ? this.#byBareLine() : this.#byLine()).get(word);
    while (places?.length && places.at(-1)! <= line) places.pop();
    return places?.at(-1);
  }

  #byLine(): Map<string, number[]> {
    this.#whole ??= backwards(this.#lines);
    return this.#whole;
  }

  #byBareLine(): Map<string, number[]> {
    this.#indented ??= backwards(this.#lines.map(line => line.replace(/^\t+/, '')));
    return this.#indented;
  }
}

/** The numbers of equal lines, the last first. */
function backwards(lines: readonly string[]): Map<string, number[]> {
  const places = new Map<string, number[]>();
  for (let at = lines.length - 1; at >= 0; at--) {
    const same = places.get(lines[at]!);
    if (same) same.push(at);
    else places.set(lines[at]!, [at]);
  }
  return places;
}

import { type CoppiceError, invalidInput } from '../../protocol/errors.ts';
import { continued, type Instruction, type Instructions, readInstructions } from './instructions.ts';
import { expanded, TooLongError, words } from './variables.ts';

/** An image that a Dockerfile takes from elsewhere: what it stands on, or what it copies from. */
export interface OutsideImage {
  /** With its variables filled in. */
  readonly name: string;
  /** For people: from 1. */
  readonly line: number;
  /** Another platform was asked for, which only the daemon itself can choose. */
  readonly platform: boolean;
}

interface Stage {
  readonly from: Instruction;
  readonly name: string | undefined;
  /** What it begins with, variables filled in. */
  readonly image: string;
  /** A stage before it, or an image from elsewhere. */
  readonly base: number | OutsideImage;
  readonly instructions: readonly Instruction[];
}

export interface BuildPlan {
  readonly file: Instructions;
  /** Up to the one that is wanted. */
  readonly stages: readonly Stage[];
  /** Each name once. */
  readonly outside: readonly OutsideImage[];
  /** What the result stands on in the end; undefined: on nothing. */
  readonly base: OutsideImage | undefined;
}

export interface PlanOptions {
  readonly target: string | undefined;
  readonly args: Readonly<Record<string, string>>;
}

/** Every stage may be looked for among all those before it. */
const mostStages = 1000;
/** Of all arguments before the first FROM together. */
const mostGlobals = 1024 * 1024;

/** What is to be built and on which images. A Dockerfile that cannot be one is refused, naming its line. */
export function planBuild(text: string, { target, args }: PlanOptions): BuildPlan {
  const file = readInstructions(text);
  const { globals, written } = cutUp(file, args);
  const last = target === undefined ? written.length - 1 : stageNamed(written, target);
  if (last < 0) {
    const known = written.map(stage => stage.name).filter(name => name !== undefined);
    throw invalidInput(
      'target',
      `the Dockerfile has no stage ${target}`,
      known.length > 0 ? `It has ${known.join(', ')}.` : 'None of its stages has a name: FROM … AS NAME gives one.',
    );
  }
  // What comes after the target is nobody's business, as long as nobody builds it.
  const wanted = written.slice(0, last + 1);
  const stages = wanted.map(
    (stage, index): Stage => ({ ...stage, ...startOf(stage, wanted.slice(0, index), globals, file) }),
  );
  let base = stages[last]!.base;
  while (typeof base === 'number') base = stages[base]!.base;
  return { file, stages, outside: outsideOf(stages), base: base.name === 'scratch' ? undefined : base };
}

/** A stage as it is written, before anything is filled in. */
interface WrittenStage extends Omit<Stage, 'base'> {
  readonly instructions: Instruction[];
}

function cutUp(
  file: Instructions,
  given: PlanOptions['args'],
): { readonly globals: ReadonlyMap<string, string>; readonly written: readonly WrittenStage[] } {
  const globals = new Map<string, string>();
  const written: WrittenStage[] = [];
  let size = 0;
  for (const instruction of file.all) {
    const stage = written.at(-1);
    if (instruction.keyword === 'FROM') written.push({ from: instruction, ...readFrom(instruction), instructions: [] });
    else if (stage) stage.instructions.push(instruction);
    else if (instruction.keyword !== 'ARG') throw broken(instruction, `${instruction.keyword} stands before any FROM`);
    else for (const word of words(instruction.text)) size += setGlobal(word, globals, given, instruction, file);
    if (size > mostGlobals) throw broken(instruction, 'the arguments before the first FROM are longer than 1 MB');
    if (written.length > mostStages) throw broken(instruction, `a Dockerfile has at most ${mostStages} stages`);
    refuseOurLabels(instruction);
  }
  if (written.length === 0) throw invalidInput('dockerfile', 'it has no FROM');
  return { globals, written };
}

/** Answers the length of what was set. */
function setGlobal(
  word: string,
  globals: Map<string, string>,
  given: PlanOptions['args'],
  instruction: Instruction,
  file: Instructions,
): number {
  const [, name = word, own] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
  const set = Object.hasOwn(given, name) ? given[name] : own && filledIn(own, globals, instruction, file);
  if (set !== undefined) globals.set(name, set);
  return set?.length ?? 0;
}

function filledIn(
  text: string,
  globals: ReadonlyMap<string, string>,
  instruction: Instruction,
  { escapeCharacter }: Instructions,
): string {
  try {
    return expanded(text, name => globals.get(name), escapeCharacter);
  } catch (error) {
    throw error instanceof TooLongError ? broken(instruction, error.message) : error;
  }
}

/** What a build leaves is found by them. */
function refuseOurLabels(instruction: Instruction): void {
  const isOurs = instruction.keyword === 'LABEL' && words(instruction.text).some(word => /^coppice\./i.test(word));
  if (isOurs) throw broken(instruction, 'labels that begin with coppice. are Coppice’s own', 'Name it otherwise.');
}

function readFrom(from: Instruction): Pick<WrittenStage, 'name' | 'image'> {
  const [image, as, name, ...more] = words(from.text);
  const isRight = image !== undefined && more.length === 0 && (as === undefined) === (name === undefined);
  if (!isRight || (as !== undefined && as.toLowerCase() !== 'as'))
    throw broken(from, 'FROM is written FROM IMAGE [AS NAME]');
  return { image, name };
}

function startOf(
  { from, image }: WrittenStage,
  before: readonly WrittenStage[],
  globals: ReadonlyMap<string, string>,
  file: Instructions,
): Pick<Stage, 'base' | 'image'> {
  const wanted = filledIn(image, globals, from, file);
  if (wanted === '')
    throw broken(from, `FROM ${image} names no image, since a variable has no value`, 'Give it as a build argument.');
  const stage = stageNamed(before, wanted);
  const platform = from.flags.some(flag => flag.startsWith('--platform'));
  return { image: wanted, base: stage >= 0 ? stage : { name: wanted, line: from.first + 1, platform } };
}

/** By its name, whose case does not matter, the latest first; a target also by its number. */
function stageNamed(stages: readonly Pick<Stage, 'name'>[], name: string): number {
  const byName = stages.findLastIndex(stage => stage.name?.toLowerCase() === name.toLowerCase());
  if (byName >= 0 || !/^\d+$/.test(name)) return byName;
  return Number(name) < stages.length ? Number(name) : -1;
}

function outsideOf(stages: readonly Stage[]): OutsideImage[] {
  const found = new Map<string, OutsideImage>();
  for (const [index, { base, instructions }] of stages.entries()) {
    if (typeof base !== 'number' && base.name !== 'scratch') found.set(base.name, found.get(base.name) ?? base);
    for (const instruction of instructions) {
      const name = copiedFrom(instruction);
      if (name === undefined || stageNamed(stages.slice(0, index), name) >= 0 || name === 'scratch') continue;
      found.set(name, found.get(name) ?? { name, line: instruction.first + 1, platform: false });
    }
  }
  return [...found.values()];
}

function copiedFrom({ keyword, flags }: Instruction): string | undefined {
  return keyword === 'COPY' ? flags.find(flag => flag.startsWith('--from='))?.slice('--from='.length) : undefined;
}

const broken = ({ first }: Instruction, message: string, fix?: string): CoppiceError =>
  invalidInput('dockerfile', `line ${first + 1}: ${message}`, fix);

export interface Rewriting {
  /** Names of the daemon for images that are ours. */
  readonly images: ReadonlyMap<string, string>;
  /** What all that is made on the way is labelled with, and what the result is. */
  readonly labels: Readonly<Record<string, string>>;
  readonly resultLabels: Readonly<Record<string, string>>;
}

export interface Rewritten {
  readonly text: string;
  /** Its lines that are in no Dockerfile of anybody's. */
  readonly own: readonly string[];
  /** The line that a line of the text stands for, both from 1. */
  readonly origin: (line: number) => number;
}

/**
 * The Dockerfile for the daemon: images of ours by the names they have there, and labels from the first layer on, so that
 * nothing that a build leaves is ever taken for somebody else's, nor shared with it.
 */
export function rewrite({ file, stages }: BuildPlan, { images, labels, resultLabels }: Rewriting): Rewritten {
  const lines: string[] = [];
  const origins: number[] = [];
  const put = (line: string, at: number) => {
    lines.push(line);
    origins.push(at);
  };
  const end = stages.at(-1)!.instructions.at(-1)?.last ?? stages.at(-1)!.from.last;
  const byLine = new Map(file.all.map(instruction => [instruction.first, instruction]));
  const stageOf = new Map(
    stages.flatMap(({ from, instructions }, index) => [from, ...instructions].map(each => [each, index] as const)),
  );
  const own = [labelLine(labels), labelLine(resultLabels)];
  for (let at = 0; at <= end; at++) {
    const instruction = byLine.get(at);
    const exchanged = instruction && exchange(file, stages, stageOf.get(instruction), instruction, images);
    if (!instruction || exchanged === undefined) {
      put(file.lines[at]!, at);
      continue;
    }
    for (const line of exchanged) put(line, at);
    at = instruction.last;
    if (instruction.keyword === 'FROM') put(own[0]!, at);
  }
  // A last line that would go on takes nothing of ours along.
  const [finished, goesOn] = continued(lines.at(-1)!, file.escapeCharacter);
  if (goesOn) lines[lines.length - 1] = finished;
  put(own[1]!, end);
  return { text: `${lines.join('\n')}\n`, own, origin: line => (origins[line - 1] ?? end) + 1 };
}

/** undefined: it stays as it is written. */
function exchange(
  { lines }: Instructions,
  stages: readonly Stage[],
  at: number | undefined,
  instruction: Instruction,
  images: Rewriting['images'],
): string[] | undefined {
  const stage = stages[at ?? stages.length];
  if (stage?.from === instruction) {
    // Filled in here, so that the daemon takes the very image that was looked at.
    const name = typeof stage.base === 'number' ? stage.image : (images.get(stage.base.name) ?? stage.base.name);
    return [['FROM', ...instruction.flags, name, ...(stage.name === undefined ? [] : ['AS', stage.name])].join(' ')];
  }
  const from = copiedFrom(instruction);
  if (from === undefined || stageNamed(stages.slice(0, at), from) >= 0) return undefined;
  const name = images.get(from);
  if (name === undefined) return undefined;
  return lines
    .slice(instruction.first, instruction.last + 1)
    .join('\n')
    .replace(`--from=${from}`, () => `--from=${name}`)
    .split('\n');
}

const labelLine = (labels: Readonly<Record<string, string>>): string =>
  `LABEL ${Object.entries(labels)
    .map(([name, value]) => `${JSON.stringify(name)}=${JSON.stringify(value)}`)
    .join(' ')}`;

/** Steps that are counted for people: what comes after each FROM, and FROM itself. */
export const stepCount = ({ stages }: BuildPlan): number =>
  stages.reduce((sum, { instructions }) => sum + 1 + instructions.length, 0);

import { CoppiceError } from '../../protocol/errors.ts';
import type { BuildPlan } from './buildPlan.ts';
import type { Instruction } from './instructions.ts';

/** Something that a daemon would do, while it builds, by the machine's own network and not by a sandbox's. */
export interface Reach {
  /** For people: from 1; undefined: it is in no file, an image brings it along. */
  readonly line: number | undefined;
  readonly what: string;
  readonly fix: string;
}

/** What daemons take for a place elsewhere. */
const ELSEWHERE = ['http://', 'https://', 'ftp://', 'git://', 'ssh://', 'git@', 'github.com/'];
const BY_RUN = /^--(?:network=(?!none$|default$)|security|device)/i;

/**
 * Whatever of a Dockerfile reaches past the sandbox that its commands run in. In doubt it does: how a daemon fills variables in,
 * and where a line ends for it, is its own business, so nothing here depends on that.
 */
export function reachOf({ file, stages, outside }: BuildPlan): Reach | undefined {
  const escaping = file.lines.findIndex(line => /^\s*#\s*escape\s*=\s*`/i.test(line));
  if (escaping >= 0)
    return {
      line: escaping + 1,
      what: 'another escape character hides where lines end',
      fix: 'Continue lines with \\.',
    };
  const platform = outside.find(image => image.platform);
  if (platform)
    return {
      line: platform.line,
      what: 'an image of another platform is fetched by the daemon itself',
      fix: 'Leave --platform out, or import the image first (import_image takes a platform) and name its tag.',
    };
  const names = new Set(stages.flatMap(({ name }, index) => [String(index), ...(name ? [name.toLowerCase()] : [])]));
  for (const instruction of file.all) {
    const reach = reachOfOne(instruction, names);
    if (reach) return { line: instruction.first + 1, ...reach };
  }
  for (const [at, line] of file.lines.entries()) {
    const reach = /^\s*(?:ONBUILD\s+)*ADD\s/i.test(line) ? reachOfText(line, names) : undefined;
    if (reach) return { line: at + 1, ...reach };
  }
  return undefined;
}

/** Of what an image has done when it is built upon. */
export function reachOfTriggers(triggers: readonly string[]): Reach | undefined {
  for (const text of triggers) {
    const reach = reachOfText(text, new Set());
    if (reach) return { line: undefined, ...reach };
  }
  return undefined;
}

export function refuseReach({ line, what, fix }: Reach, howToAllow: string): CoppiceError {
  const where = line === undefined ? 'what an image does when it is built upon' : `line ${line}`;
  return new CoppiceError('fenced', `dockerfile: ${where}: ${what}; agents may not share this machine’s network`, {
    field: 'dockerfile',
    fix: `${fix} ${howToAllow}`,
  });
}

type Found = Omit<Reach, 'line'> | undefined;

function reachOfText(text: string, stages: ReadonlySet<string>): Found {
  const [, keyword = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  const flags = /^(?:--\S+\s*)*/.exec(rest)![0].split(/\s+/);
  return reachOfOne({ keyword: keyword.toUpperCase(), text: rest, flags }, stages);
}

function reachOfOne(
  { keyword, text, flags }: Pick<Instruction, 'keyword' | 'text' | 'flags'>,
  stages: ReadonlySet<string>,
): Found {
  if (keyword === 'ONBUILD') return reachOfText(text, stages);
  if (keyword === 'ADD') return reachOfAdd(text);
  if (keyword === 'RUN') return reachOfRun(flags, stages);
  return undefined;
}

function reachOfAdd(text: string): Found {
  const places = placesOf(text);
  const far = places.find(place => ELSEWHERE.some(start => place.startsWith(start)));
  if (far !== undefined)
    return {
      what: `ADD would have the daemon itself fetch ${far.split(/[?#]/, 1)[0]!.replace(/\/\/[^/@]*@/, '//')}`,
      fix: 'Fetch it by RUN, in the build’s own network, or put it into the context.',
    };
  // The last one is where it goes to.
  const unclear = places.slice(0, -1).find(place => {
    const [known, ...more] = place.split('$');
    return more.length > 0 && ELSEWHERE.some(start => start.startsWith(known!));
  });
  return unclear === undefined
    ? undefined
    : {
        what: `ADD ${unclear} could be a place elsewhere, which the daemon itself would fetch`,
        fix: 'Write ./ before a variable that names a file of the context.',
      };
}

/** Without what quotes and escapes, and however much of it is JSON: what is left is in the word in any case. */
function placesOf(text: string): string[] {
  const plain = text.replace(/\\u([0-9a-f]{4})/gi, (_all, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  return plain
    .split(text.trimStart().startsWith('[') || /\s\[/.test(text) ? /[\s,[\]]+/ : /\s+/)
    .map(word => word.replaceAll(/["'\\`]/g, '').toLowerCase())
    .filter(word => word !== '');
}

function reachOfRun(flags: readonly string[], stages: ReadonlySet<string>): Found {
  const past = flags.find(flag => BY_RUN.test(flag) || /^--mount=.*\$/is.test(flag));
  if (past !== undefined)
    return { what: `RUN ${past} could leave the build’s own network and rights`, fix: 'Leave it out.' };
  const mounted = flags
    .flatMap(flag => (/^--mount/i.test(flag) ? flag.split(/\bfrom=/i).slice(1) : []))
    .map(rest => rest.split(',', 1)[0]!.toLowerCase())
    .find(name => !stages.has(name));
  return mounted === undefined
    ? undefined
    : {
        what: `RUN --mount of ${mounted} has the daemon itself fetch an image`,
        fix: 'Begin a stage with it (FROM … AS NAME) and mount that.',
      };
}

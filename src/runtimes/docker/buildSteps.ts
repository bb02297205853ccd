import { CoppiceError } from '../../protocol/errors.ts';
import { type BuildPlan, stepCount } from '../dockerfile/buildPlan.ts';
import type { Instruction } from '../dockerfile/instructions.ts';
import type { BuildFailure, BuildStep } from '../runtime.ts';

/** What the daemon says while it builds, an object at a time. */
export interface BuildEvent {
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
  readonly errorDetail?: { readonly code?: number; readonly message?: string };
}

const STEP_DOCKER = /^Step (\d+)\/(\d+) : ([\s\S]*[^\n])$/;
const STEP_PODMAN = /^(?:\[(\d+)\/(\d+)\] )?STEP (\d+)(?:\/(\d+))?: ([\s\S]*)\n$/;
const CACHED = /^ ?--+> Using cache/;
/** Of what a daemon does between steps nothing is worth to be read. */
const NOISE = [
  /^ ---> Running in [0-9a-f]{12}\n$/,
  /^Removing intermediate container [0-9a-f]{12}\n$/,
  /^ ?--+> (?:Using cache )?(?:[0-9a-f]{11,64})?\n$/,
  /^(?:\[\d+\/\d+\] )?COMMIT \S+\n$/,
  /^Successfully (?:built|tagged) \S+\n$/,
  /^[0-9a-f]{64}\n$/,
];
const LONGEST_TAIL = 4000;
const MOST_LINES = 12;

/** What a daemon announces of a step. */
interface Announced {
  /** Docker counts them all together. */
  readonly stage: number;
  readonly stages: number;
  readonly number: number;
  readonly total: number;
  readonly text: string;
}

export interface StepsOptions {
  readonly podman: boolean;
  /** Lines of ours in the Dockerfile, which are nobody's steps. */
  readonly own: readonly string[];
  /** How many steps images bring along that do something when they are built upon. */
  readonly triggers: number;
}

/** Makes steps and output of a build's events, the same for every daemon. Steps of our own are no part of them. */
export class BuildSteps {
  readonly steps: BuildStep[] = [];
  readonly total: number;
  /** The container that a step runs in, as long as it does. */
  container: string | undefined;
  /** As they are written, in the order in which they come. */
  readonly #written: Instruction[];
  readonly #froms: Instruction[];
  readonly #options: StepsOptions;
  readonly #most: number;
  readonly #stages: number;
  #last: Announced | undefined;
  #hidden = false;
  #lineOpen = false;
  /** Nothing was said yet in this step, so what comes next is the daemon's own word. */
  #isFresh = false;
  #tail = '';

  constructor(plan: BuildPlan, options: StepsOptions) {
    this.#options = options;
    this.total = stepCount(plan);
    this.#most = this.total + options.triggers;
    this.#stages = plan.stages.length;
    this.#froms = plan.stages.map(stage => stage.from);
    this.#written = plan.stages.flatMap(stage => stage.instructions);
  }

  /** The text that belongs into the output. */
  take({ stream }: BuildEvent): string {
    if (stream === undefined) return '';
    const step = this.#announced(stream);
    if (step) return this.#begin(step);
    if (this.#lineOpen) {
      this.#lineOpen = false;
      if (stream === '\n') return '';
    }
    const fresh = this.#isFresh;
    this.#isFresh = false;
    const running = /^ ---> Running in ([0-9a-f]{12})\n$/.exec(stream)?.[1];
    if (running !== undefined && fresh && !this.#options.podman) this.container = running;
    if (this.container !== undefined && stream === `Removing intermediate container ${this.container}\n`)
      this.container = undefined;
    if (this.#hidden) return '';
    if (CACHED.test(stream)) return this.#wasCached();
    if (NOISE.some(pattern => pattern.test(stream))) return '';
    // Docker paints what goes to standard error.
    const text = stream.replace(/^\u001b\[91m([\s\S]*)\u001b\[0m$/, '$1');
    this.#tail = (this.#tail + text).slice(-LONGEST_TAIL);
    return text;
  }

  /** Commands may say anything: only the step that is due is one. */
  #announced(stream: string): Announced | undefined {
    const step = this.#options.podman ? ofPodman(stream) : ofDocker(stream);
    if (!step || !isDue(step, this.#last)) return undefined;
    return this.steps.length < this.#most || this.#isOurs(step.text) ? step : undefined;
  }

  #isOurs(text: string): boolean {
    return this.#options.own.includes(text.trim());
  }

  #begin(step: Announced): string {
    const { text } = step;
    this.#last = step;
    this.#lineOpen = !this.#options.podman;
    this.#isFresh = true;
    this.container = undefined;
    this.#hidden = this.#isOurs(text) || this.#isGlobal(text);
    if (this.#hidden) return '';
    const command = this.#asWritten(step);
    this.steps.push({ command, cached: false });
    this.#tail = '';
    return `Step ${this.steps.length}/${Math.max(this.total, this.steps.length)}: ${command}\n`;
  }

  /** Docker counts the arguments before the first FROM. */
  #isGlobal(text: string): boolean {
    return this.steps.length === 0 && !/^FROM\s/i.test(text);
  }

  /** As its author wrote it: the daemon was told our own names of images. */
  #asWritten({ text, stage, stages }: Announced): string {
    // Podman leaves out stages that nobody needs.
    if (/^FROM\s/i.test(text) && stages === this.#stages)
      this.#froms.splice(0, stage - 1 - (stages - this.#froms.length));
    const waiting = /^FROM\s/i.test(text) ? this.#froms : this.#written;
    const at = waiting.findIndex(instruction => isTheSame(instruction, text));
    // What an image does by itself when it is built upon (ONBUILD) is in no file.
    if (at < 0) return oneLine(text);
    const { keyword, flags, text: rest } = waiting[at]!;
    waiting.splice(0, at + 1);
    return oneLine([keyword, ...flags, rest].join(' '));
  }

  #wasCached(): string {
    const step = this.steps.at(-1);
    if (!step || step.cached) return '';
    this.steps[this.steps.length - 1] = { ...step, cached: true };
    return ' ---> Using cache\n';
  }

  /** What went wrong, where, and what was said last. */
  failure({ error = '', errorDetail }: BuildEvent): BuildFailure {
    const said = plain(errorDetail?.message ?? error);
    const podman = /while running runtime: exit status (\d+)$/.exec(said)?.[1];
    const exitCode = errorDetail?.code ?? (podman === undefined ? null : Number(podman));
    const lines = this.#tail.trimEnd().split('\n').slice(-MOST_LINES);
    const step = this.steps.at(-1);
    const where = step && `step ${this.steps.length}/${this.total}, ${step.command},`;
    const message =
      exitCode === null
        ? `${where === undefined ? '' : `${where} failed: `}${said}`
        : `${where ?? 'a command'} ended with exit code ${exitCode}${lastWords(lines)}`;
    const needs = cure(said);
    return {
      exitCode,
      error: new CoppiceError('build_failed', message, {
        ...(needs === undefined ? {} : { fix: needs }),
        data: {
          step: this.steps.length,
          steps: this.total,
          command: step?.command ?? null,
          exit_code: exitCode,
          output: lines.join('\n'),
        },
      }),
    };
  }
}

function ofDocker(stream: string): Announced | undefined {
  const [, number, total, text] = STEP_DOCKER.exec(stream) ?? [];
  return text === undefined ? undefined : { stage: 1, stages: 1, number: Number(number), total: Number(total), text };
}

function ofPodman(stream: string): Announced | undefined {
  const [, stage = '1', stages = '1', number, total = '0', text] = STEP_PODMAN.exec(stream) ?? [];
  return text === undefined
    ? undefined
    : { stage: Number(stage), stages: Number(stages), number: Number(number), total: Number(total), text };
}

/** The next one of those that the daemon said there are, or the first one of a later stage. */
function isDue(step: Announced, last: Announced | undefined): boolean {
  if (!last) return step.number === 1;
  if (step.stages !== last.stages) return false;
  if (step.stage !== last.stage) return step.stage > last.stage && step.stage <= step.stages && step.number === 1;
  // Podman learns only by FROM what the image will do by itself.
  const isCounted = step.total === last.total || (last.number === 1 && step.total > last.total);
  return isCounted && step.number === last.number + 1 && (step.total === 0 || step.number <= step.total);
}

/** But for the names of images, which were exchanged. */
function isTheSame({ keyword, flags, text }: Instruction, said: string): boolean {
  if (keyword === 'FROM') return true;
  const bare = (words: string) => words.replaceAll(/--from=\S+|\s+/g, '');
  return bare([keyword, ...flags, text].join(' ')) === bare(said.replace(/^\S+/, word => word.toUpperCase()));
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' ').trim();

function lastWords(lines: readonly string[]): string {
  const last = lines.at(-1)?.trim() ?? '';
  return last === '' ? '' : `: ${last.length > 300 ? `${last.slice(0, 300)}…` : last}`;
}

/** Podman tells the step once more, and where on its own disk it looked. */
function plain(message: string): string {
  return message
    .trim()
    .replace(/^building at STEP "[\s\S]*?": (?=checking|while|Build error|copier|\w)/, '')
    .replace(/ under "[^"]*\/libpod_builder\d+\/[^"]*"/, ' in the context')
    .replace(/^Build error: (Unknown instruction: "[^"]*")[\s\S]*$/, '$1');
}

function cure(said: string): string | undefined {
  if (/requires BuildKit/i.test(said))
    return 'Write it without that option: Coppice uses the daemon’s own builder, which knows only what Dockerfiles had before BuildKit.';
  if (/not found in build context|no such file or directory|file does not exist/.test(said))
    return 'Look whether it is in the context, and whether .dockerignore leaves it out.';
  return undefined;
}

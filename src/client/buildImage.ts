import path from 'node:path';
import type { WireError } from '../protocol/errors.ts';
import type { VerbInput, VerbResult } from '../protocol/verbs.ts';
import { invalid, sandboxError } from './errors.ts';
import { refuseUnknown } from './sandboxOptions.ts';

export interface BuildOptions {
  /** The folder that COPY takes from. Default: this one. */
  readonly context?: string;
  /** Default: `Dockerfile` of the context; relative to it. */
  readonly dockerfile?: string;
  /** The stage to build. Default: the last. */
  readonly target?: string;
  /** Values for ARG. They stay readable in the image’s history. */
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly tag?: string;
  readonly noCache?: boolean;
  /** Where it is built. Default: what the engine prefers; the native runtime builds none yet. */
  readonly runtime?: 'docker' | 'native';
}

export interface BuiltImage {
  /** UUID, for `Sandbox.run({ image })`. */
  readonly image: string;
  readonly tag: string | null;
  /** The image it was built on; null where that is none of Coppice's. */
  readonly parent: string | null;
  readonly steps: readonly { readonly command: string; readonly cached: boolean }[];
}

const NAMES: { readonly [Name in keyof Required<BuildOptions>]: keyof VerbInput<'build'> } = {
  context: 'context',
  dockerfile: 'dockerfile',
  target: 'target',
  buildArgs: 'build_args',
  tag: 'tag',
  noCache: 'no_cache',
  runtime: 'runtime',
};

/** @internal The engine checks the values; a name it would never see is refused here. */
export function buildInput(options: BuildOptions): VerbInput<'build'> {
  refuseUnknown(options, Object.keys(NAMES), 'a build');
  const { context = '.', ...more } = options;
  if (typeof context !== 'string') throw invalid('context', 'is the path of a folder');
  const input: Record<string, unknown> = { context: path.resolve(context) };
  for (const [name, value] of Object.entries(more)) {
    if (value !== undefined) input[NAMES[name as keyof BuildOptions]] = value;
  }
  return input as VerbInput<'build'>;
}

/** @internal A build that failed is an error with the step, the command and its exit code in `data`. */
export function builtImage({ status, image, tag, parent, steps, error }: VerbResult<'build'>): BuiltImage {
  if (image === null)
    throw sandboxError(
      (error as WireError | null) ?? { code: 'cancelled', message: `the build was ${status.toLowerCase()}` },
    );
  return { image, tag, parent, steps: steps.map(({ command, cached = false }) => ({ command, cached })) };
}

import { closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { invalidInput } from '../../protocol/errors.ts';
import type { VerbRequest } from '../../protocol/verbs.ts';
import { type BuildPlan, planBuild } from '../../runtimes/dockerfile/buildPlan.ts';
import { readIgnoreFile } from '../../runtimes/dockerfile/context.ts';
import { Dockerignore } from '../../runtimes/dockerfile/dockerignore.ts';
import { quoted } from '../operations/run.ts';

/** What a build is made of, as it was found on this machine. */
export interface BuildSource {
  readonly context: string;
  readonly ignore: Dockerignore;
  readonly plan: BuildPlan;
  /** As a command line, for records and lineage. */
  readonly title: string;
}

const LONGEST_DOCKERFILE = 1024 * 1024;

export function readBuildSource(request: VerbRequest<'build'>): BuildSource {
  const { context, target, build_args: args } = request;
  if (!statSync(context, { throwIfNoEntry: false })?.isDirectory())
    throw invalidInput('context', `there is no folder ${context}`);
  const dockerfile = path.resolve(context, request.dockerfile ?? 'Dockerfile');
  const text = readDockerfile(dockerfile);
  const name = path.relative(context, dockerfile);
  // As Docker's newer builder has it: a Dockerfile's own comes before the folder's.
  const ignore =
    readIgnoreFile(path.dirname(dockerfile), `${path.basename(dockerfile)}.dockerignore`) ?? readIgnoreFile(context);
  return {
    context,
    ignore: Dockerignore.parse(ignore ?? ''),
    plan: planBuild(text, { target, args }),
    title: [
      'build',
      quoted(context),
      ...(name === 'Dockerfile' ? [] : ['-f', quoted(name.startsWith('..') ? dockerfile : name)]),
      ...(target === undefined ? [] : ['--target', quoted(target)]),
    ].join(' '),
  };
}

/** Opened so that a pipe of that name holds nobody up. */
function readDockerfile(file: string): string {
  const fix = 'Name it by dockerfile, at a terminal by -f.';
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw invalidInput('dockerfile', `there is no ${file}`, fix);
    throw invalidInput('dockerfile', `${file} cannot be read: ${code === 'EACCES' ? 'permission denied' : message}`);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw invalidInput('dockerfile', `${file} is no file`, fix);
    if (stats.size > LONGEST_DOCKERFILE)
      throw invalidInput(
        'dockerfile',
        `${file} is larger than ${LONGEST_DOCKERFILE / 1024 / 1024} MB, so it is no Dockerfile`,
      );
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

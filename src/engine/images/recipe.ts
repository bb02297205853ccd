import type { RunInput } from '../../protocol/schemas/operations.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { OperationStore } from '../operations/operationStore.ts';
import { quoted } from '../operations/run.ts';
import type { StateStore } from '../sync/stateStore.ts';
import type { ImageRecord, ImageStore } from './imageStore.ts';

type Format = VerbRequest<'recipe'>['format'];

interface Records {
  readonly images: ImageStore;
  readonly operations: OperationStore;
  readonly states: StateStore;
}

/** One image of the chain: what made it, and where that ran. */
interface Step {
  readonly image: ImageRecord;
  /** By its Dockerfile, which has commands of its own. */
  readonly built: boolean;
  /** A line for a shell; undefined where the image was not made by a command. */
  readonly command: string | undefined;
  readonly cwd: string | undefined;
  readonly user: string | undefined;
  readonly env: readonly (readonly [string, string])[];
  readonly state: { readonly id: string; readonly source: string; readonly destination: string } | undefined;
}

/** What the editor gives every run so that its output looks well says nothing about the image. */
const FOR_THE_EYE = new Set(['TERM', 'FORCE_COLOR', 'CLICOLOR_FORCE', 'PYTHONUNBUFFERED']);

/** Others cannot be exported by a shell. */
const IS_NAME = /^[A-Za-z_]\w*$/;

/** The verb `recipe`: the commands from the root to an image, to be read, kept and run elsewhere. */
export function recipe(records: Records, image: ImageRecord, format: Format): VerbResult<'recipe'> {
  const chain = chainOf(records.images, image);
  const [root, ...made] = chain;
  const steps = made.map(link => stepOf(records, link));
  const lines = format === 'script' ? script(root!, image, steps) : dockerfile(root!, image, steps);
  return {
    image: image.uuid,
    text: `${lines.join('\n')}\n`,
    commands: steps.filter(step => step.command !== undefined).length,
  };
}

/** From the oldest that is known to the image. */
function chainOf(images: ImageStore, image: ImageRecord): ImageRecord[] {
  const chain = [image];
  for (let next = image; next.parent !== null; ) {
    const parent = images.find(next.parent);
    if (!parent) break;
    chain.unshift(parent);
    next = parent;
  }
  return chain;
}

function stepOf({ operations, states }: Records, image: ImageRecord): Step {
  const operation = image.operationId === null ? undefined : operations.find(image.operationId);
  const state = operation?.directoryStateId ? states.lookUp(operation.directoryStateId) : undefined;
  const input = (operation?.input ?? {}) as Partial<RunInput>;
  return {
    image,
    built: operation?.kind === 'build',
    command: operation?.kind === 'run' ? lineFor(image, input) : undefined,
    cwd: input.cwd,
    user: input.user,
    env: Object.entries(input.env ?? {}).filter(([name]) => IS_NAME.test(name) && !FOR_THE_EYE.has(name)),
    state: state && { id: state.id, source: state.source, destination: state.destination },
  };
}

function lineFor(image: ImageRecord, { shell = true, command, args = [] }: Partial<RunInput>): string | undefined {
  if (shell || command === undefined) return image.command ?? undefined;
  return [command, ...args].map(quoted).join(' ');
}

const failed = ({ image }: Step): boolean => image.exitCode !== null && image.exitCode !== 0;

function script(root: ImageRecord, image: ImageRecord, steps: readonly Step[]): string[] {
  return ['#!/bin/sh', `# ${oneLine(title(root, image))}`, 'set -e', ...steps.flatMap(scriptStep)];
}

function scriptStep(step: Step): string[] {
  const { command, cwd, env } = step;
  if (command === undefined) return ['', ...notes(step)];
  const body = [
    ...(cwd === undefined ? [] : [`cd ${quoted(cwd)}`]),
    ...env.map(([name, value]) => `export ${name}=${quoted(value)}`),
    ...(step.user === undefined ? [] : [`# as user ${oneLine(step.user)}`]),
    command,
  ];
  return ['', ...notes(step), '(', ...body.map(line => `  ${line}`), failed(step) ? ') || true' : ')'];
}

function dockerfile(root: ImageRecord, image: ImageRecord, steps: readonly Step[]): string[] {
  const lines = [`# ${oneLine(title(root, image))}`, ...from(root)];
  let state: string | undefined;
  let cwd: string | undefined;
  let user: string | undefined;
  for (const step of steps) {
    lines.push('', ...notes(step));
    if (step.state && step.state.id !== state)
      lines.push(`COPY [".", ${JSON.stringify(`${step.state.destination}/`)}]`);
    state = step.state?.id ?? state;
    if (step.command === undefined) continue;
    if (step.cwd !== undefined && step.cwd !== cwd) lines.push(`WORKDIR ${oneLine(step.cwd)}`);
    if (step.user !== undefined && step.user !== user) lines.push(`USER ${oneLine(step.user)}`);
    cwd = step.cwd ?? cwd;
    user = step.user ?? user;
    lines.push(runLine(step));
  }
  return lines;
}

/** Docker reads a line in its own way unless it is plain; a list of words it takes as they are. */
function runLine(step: Step): string {
  const exports = step.env.map(([name, value]) => `export ${name}=${quoted(value)}; `).join('');
  const command = failed(step) ? `(${step.command}) || true` : step.command!;
  const line = `${exports}${command}`;
  const plain = /^[\w./(]/.test(line) && !/[\r\n]|\\$|<</.test(line);
  return plain ? `RUN ${line}` : `RUN ${JSON.stringify(['/bin/sh', '-c', line])}`;
}

function from(root: ImageRecord): string[] {
  const reference = /^(?:docker:\/\/)?(.+)$/.exec(root.source ?? '')?.[1];
  const isRegistry =
    reference !== undefined && !/^(host|rootfs|oci|oci-archive|docker-archive|docker-daemon|build):/.test(reference);
  if (isRegistry) return [`FROM ${reference}`];
  return [
    `# It began at ${oneLine(root.source ?? root.uuid)}, which no registry has. Give a base like it: --build-arg BASE=debian:12`,
    'ARG BASE',
    'FROM $BASE',
  ];
}

function title(root: ImageRecord, image: ImageRecord): string {
  const name = image.tag === null ? image.uuid : `${image.tag} (${image.uuid})`;
  return `The way to ${name}, from ${root.source ?? root.uuid}.`;
}

function notes(step: Step): string[] {
  const { image, state } = step;
  return [
    ...(step.command === undefined ? [withoutCommand(step)] : []),
    ...(state
      ? [`# With the files of ${oneLine(state.source)} at ${oneLine(state.destination)} (${state.id.slice(0, 10)}).`]
      : []),
    ...(failed(step) ? [`# This ended with exit ${image.exitCode}, and was kept all the same.`] : []),
  ];
}

function withoutCommand({ image, built }: Step): string {
  const made = oneLine(image.command ?? image.uuid);
  return built
    ? `# Built from a Dockerfile: coppice ${made}. Its commands are there.`
    : `# Kept by hand: ${made}. What was changed there is in no command.`;
}

/** A comment ends with its line. */
const oneLine = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f]+/g, ' ');

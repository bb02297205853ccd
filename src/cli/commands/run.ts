import { isUtf8 } from 'node:buffer';
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { buffer as readAll } from 'node:stream/consumers';
import type { EngineClient } from '../../client/engineClient.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import type { OperationResult } from '../../protocol/schemas/operations.ts';
import type { VerbInput } from '../../protocol/verbs.ts';
import { surfaceDefaults } from '../../verbs/verbs.ts';
import { humanDuration, shortId } from '../../verbs/wording.ts';
import { placesHere, whyNotByItself } from '../../workspace/byItself.ts';
import { type Context, defineCommand, type Line, type Options } from '../command.ts';
import { EXIT, exitCodeOfOperation } from '../exitCode.ts';
import { followOperation, operationEnd } from '../followOperation.ts';
import { inWordsOfTheLine } from '../lineWords.ts';
import { withOwnValue } from '../ownValue.ts';
import { numberOption, pairsOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { fullState } from '../references.ts';
import { defaultDestination } from '../syncedFolder.ts';
import type { Channel } from '../terminal.ts';
import { UsageError } from '../usageError.ts';
import { syncFolder } from './sync.ts';

/** Where and how a command runs: the same for `run` and `shell`. */
export const executionOptions = {
  image: {
    short: 'i',
    value: 'IMAGE',
    help: 'Start from this image: UUID or its beginning, TAG, branch:NAME, host:',
    completes: 'image',
  },
  env: { short: 'e', value: 'NAME=VALUE', multiple: true, help: 'Environment variable' },
  secret: {
    value: 'NAME[=VALUE]',
    multiple: true,
    help: 'Environment variable that is never recorded; without a value it is taken from yours',
  },
  cwd: { short: 'w', value: 'PATH', help: 'Working directory inside' },
  user: { short: 'u', value: 'USER', help: 'User inside: name, uid or uid:gid' },
  network: {
    value: 'MODE',
    help: 'nat reaches out (default), none reaches nothing, host shares this machine’s',
    completes: ['nat', 'none', 'host'],
  },
  memory: { value: 'SIZE', help: 'Memory limit, as 512m' },
  cpus: { value: 'N', help: 'Processor limit, as 1.5' },
  pids: { value: 'N', help: 'Limit of processes and threads' },
  state: { value: 'STATE', help: 'Lay a directory state over the image: ds-… from coppice sync', completes: 'state' },
  sync: {
    short: 's',
    value: 'FOLDER[:INSIDE]',
    help: 'Sync this folder first and lay it over the image (at /workspace/ and its name), then start in it',
    completes: 'folder',
  },
  at: { value: 'INSIDE', help: 'Where the synced folder appears inside' },
  file: { value: 'INSIDE=LOCAL', multiple: true, help: 'Lay a local file over the image at this path' },
} as const satisfies Options;

const options = {
  command: { short: 'c', value: 'LINE', help: 'A line for /bin/sh; words after -- are its $1, $2 …' },
  step: { value: 'LINE', multiple: true, help: 'Run lines one after the other and keep each as an image' },
  keep: { short: 'k', help: 'Keep what the command changes as a new image' },
  tag: { short: 't', value: 'TAG', help: 'Name the kept image (implies --keep)' },
  ...executionOptions,
  'no-sync': { help: 'Take nothing of this folder along' },
  timeout: { value: 'SECONDS', help: 'Kill the whole process tree after so long (default: never)' },
  stdin: { help: 'Pass on what is piped in' },
  detach: { short: 'd', help: 'Print the operation id and leave it running' },
  quiet: { short: 'q', help: 'Only the command’s own output' },
} as const satisfies Options;

export const run = defineCommand({
  name: 'run',
  group: 'Run',
  summary: 'Run a command in a fresh sandbox',
  description:
    'Every run starts from an image exactly as it is, and what it writes is thrown away unless you --keep it.\n' +
    'The folder you are in goes along: synced to /workspace/ and its name, where the command starts. Left out is what\n' +
    'coppice sync leaves out; a home folder or one of the system only goes along when -s names it.\n\n' +
    'Without --image it starts from the checked-out branch’s head, else from COPPICE_IMAGE, else from host:, a copy\n' +
    'of this machine’s own system.\n\n' +
    'The exit code is the command’s; 124 when it timed out, 130 when it was cancelled, 125 when it could not be run.\n' +
    'Ctrl-C cancels it, twice leaves at once. --json prints the whole result as one document when it has ended.',
  program: true,
  options,
  examples: [
    ['coppice run -- make test', 'this folder, in a sandbox on a copy of this machine'],
    ['coppice run --keep -t deps -c "npm ci"', 'keep an install, named deps'],
    ['coppice run -i deps -- npm test', 'go on from it, with this folder as it is now'],
    ['coppice run --no-sync --file /app/t.py=./t.py -- python3 /app/t.py', 'one file of yours and nothing else'],
    ['coppice run --step "make" --step "make check"', 'an image a step: go back to any of them'],
    ['coppice run --at /src -- make test', 'this folder at another place'],
    ['coppice run -d -- make test; coppice wait', 'in the background'],
  ],
  runsCommands: true,
  run: runCommand,
});

type RunLine = Line<typeof options>;

async function runCommand(context: Context, line: RunLine): Promise<number> {
  const input = await runInput(context, line);
  const client = await context.connect();
  const alone = whyAlone(context, line);
  const laid = await laidOver(context, client, 'run', withThisFolder(line, alone));
  const { operation_id: id } = await client.call('run', { ...laid, ...input, wait: false });
  if (line.options.detach) return printDetached(context, id);
  const operation = await context.interrupts.during(
    () => void client.call('cancel_operation', { operation_id: id }).catch(() => undefined), // The wait says how it ended.
    () => (context.json ? operationEnd(client, id, 10_000_000) : followOperation(client, id, context.terminal)),
  );
  if (context.json) printJson(context, operation);
  else if (!line.options.quiet) {
    printEnd(operation, context.terminal.err, line.options.tag);
    if (alone !== undefined && operation.status === 'FAILED') printAlone(context.terminal.err, alone);
  }
  return exitCodeOfOperation(operation);
}

/** Why the folder one is in does not go along though nobody said so; undefined: it does, or somebody did. */
function whyAlone(context: Context, { options: given }: RunLine): string | undefined {
  const said = given['no-sync'] || given.sync !== undefined || given.state !== undefined;
  return said ? undefined : whyNotByItself(context.cwd, placesHere(context.home));
}

/** The folder one is in goes along unless the line says otherwise. */
function withThisFolder({ options: given }: RunLine, alone: string | undefined): RunLine['options'] {
  if (given['no-sync']) {
    if (given.sync !== undefined || given.state !== undefined || given.at !== undefined)
      throw new UsageError('--no-sync stands against --sync, --state and --at: give one of them', 'run');
    return given;
  }
  if (given.sync !== undefined || given.state !== undefined) return given;
  if (alone === undefined) return { ...given, sync: '.' };
  if (given.at === undefined) return given;
  throw new UsageError(`this folder does not go along by itself, for ${alone}: name it with -s .`, 'run');
}

/** A command that worked did not miss its files. */
function printAlone(channel: Channel, alone: string): void {
  channel.line(channel.style('dim', `this folder did not go along, for ${alone}; with -s . it does`));
}

async function runInput(context: Context, line: RunLine): Promise<VerbInput<'run'>> {
  const { options: given } = line;
  const timeout = numberOption('run', 'timeout', given.timeout);
  return {
    ...surfaceDefaults.cli.run,
    ...commandOf(line),
    ...executionInput(context, 'run', given),
    ...(timeout === undefined ? {} : { timeout }),
    ...(given.keep || given.tag !== undefined ? { disposable: false } : {}),
    ...(given.tag === undefined ? {} : { tag: given.tag }),
    ...(given.stdin ? { stdin: await pipedText(context) } : {}),
    workspace: context.cwd,
  };
}

function commandOf({
  options: given,
  after = [],
}: RunLine): Pick<VerbInput<'run'>, 'command' | 'args' | 'shell' | 'steps'> {
  if (given.step.length > 0) {
    if (given.command !== undefined || after.length > 0)
      throw new UsageError('--step stands alone, without -c and without a program after --', 'run');
    return { steps: [...given.step] };
  }
  if (given.command !== undefined) return { command: given.command, args: [...after] };
  const [program, ...args] = after;
  if (program === undefined) throw new UsageError('nothing to run: give -- PROGRAM ARGS…, or -c LINE', 'run');
  return { command: program, args, shell: false };
}

type ExecutionInput = Pick<VerbInput<'run'>, 'image' | 'env' | 'secrets' | 'cwd' | 'user' | 'network' | 'limits'>;

export function executionInput(
  context: Context,
  command: string,
  given: Line<typeof executionOptions>['options'],
): ExecutionInput {
  const cpus = numberOption(command, 'cpus', given.cpus);
  const pids = numberOption(command, 'pids', given.pids);
  const limits = {
    ...(cpus === undefined ? {} : { cpus }),
    ...(pids === undefined ? {} : { pids }),
    ...(given.memory === undefined ? {} : { memory: given.memory }),
  };
  return {
    ...(given.image === undefined ? {} : { image: given.image }),
    env: pairsOption(command, 'env', given.env),
    secrets: pairsOption(
      command,
      'secret',
      given.secret.map(secret => withOwnValue('secret', secret, context.env)),
    ),
    ...(given.cwd === undefined ? {} : { cwd: given.cwd }),
    ...(given.user === undefined ? {} : { user: given.user }),
    ...(given.network === undefined ? {} : { network: given.network as 'nat' }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

type LaidOver = Pick<VerbInput<'run'>, 'files' | 'directory_state_id' | 'cwd'>;

/** What comes from this machine: a synced folder, which the command then starts in, and single files. */
export async function laidOver(
  context: Context,
  client: EngineClient,
  command: string,
  given: Line<typeof executionOptions>['options'],
): Promise<LaidOver> {
  const files = await uploadFiles(client, context.cwd, command, given.file);
  const state = await stateOf(context, client, command, given);
  return { files, ...(state ? { directory_state_id: state.id, cwd: given.cwd ?? state.destination } : {}) };
}

async function stateOf(
  context: Context,
  client: EngineClient,
  command: string,
  given: Line<typeof executionOptions>['options'],
): Promise<{ readonly id: string; readonly destination: string } | undefined> {
  if (given.state !== undefined) {
    if (given.sync !== undefined) throw new UsageError('give --state or --sync, not both', command);
    if (given.at !== undefined) throw new UsageError('a state knows its place: --at is for --sync', command);
    return fullState(client, given.state);
  }
  if (given.sync === undefined) {
    if (given.at !== undefined) throw new UsageError('--at says where --sync puts the folder: give both', command);
    return undefined;
  }
  const { source, destination } = folderAndPlace(given.sync, context.cwd, given.at);
  const synced = await syncFolder(context, client, { source, destination });
  return { id: synced.directory_state_id, destination };
}

/** `FOLDER` or `FOLDER:/INSIDE`. */
export function folderAndPlace(
  text: string,
  cwd: string,
  place?: string,
): { readonly source: string; readonly destination: string } {
  const at = text.lastIndexOf(':/');
  const source = path.resolve(cwd, at > 0 ? text.slice(0, at) : text);
  return { source, destination: place ?? (at > 0 ? text.slice(at + 1) : defaultDestination(source)) };
}

async function uploadFiles(
  client: EngineClient,
  cwd: string,
  command: string,
  pairs: readonly string[],
): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const [inside, local] of Object.entries(pairsOption(command, 'file', pairs))) {
    const { uuid } = await client.call('upload', { path: existingPath(cwd, local) });
    files[inside] = uuid;
  }
  return files;
}

function existingPath(cwd: string, local: string): string {
  const absolute = path.resolve(cwd, local);
  try {
    return realpathSync(absolute);
  } catch {
    throw new CoppiceError('file_not_found', `no file ${absolute}`, { fix: 'Check the path.' });
  }
}

async function pipedText(context: Context): Promise<string> {
  if (context.stdin.isTTY)
    throw new UsageError('--stdin wants something piped in; for a terminal use coppice shell', 'run');
  const bytes = await readAll(context.stdin);
  if (!isUtf8(bytes)) throw new UsageError('what is piped in is not text; give it as --file INSIDE=LOCAL', 'run');
  return bytes.toString();
}

function printDetached(context: Context, id: string): number {
  if (context.json) printJson(context, { operation_id: id });
  else context.terminal.out.line(id);
  return EXIT.ok;
}

function printEnd(operation: OperationResult, channel: Channel, tag: string | undefined): void {
  channel.line(channel.style('dim', endLine(operation, tag)));
  if (operation.error)
    channel.line(
      `${channel.style('red', 'coppice:')} ${operation.error.message}. ${operation.error.fix ?? ''}`.trimEnd(),
    );
  for (const step of operation.steps ?? [])
    channel.line(
      channel.style(
        'dim',
        `  ${step.image === null ? '' : `${shortId(step.image)}  `}exit ${step.exit_code ?? '?'}  ${step.command}`,
      ),
    );
  if (channel.isTerminal)
    for (const hint of operation.hints) channel.line(channel.style('dim', `hint: ${inWordsOfTheLine(hint)}`));
}

export function endLine(operation: OperationResult, tag?: string): string {
  return [
    shortId(operation.operation_id),
    howItEnded(operation),
    ...timeOf(operation),
    ...keptImage(operation, tag),
  ].join(' · ');
}

function howItEnded(operation: OperationResult): string {
  if (operation.status === 'CANCELLED') return 'cancelled';
  if (operation.timed_out) return 'timed out';
  if (operation.signal !== null) return `killed by ${operation.signal}`;
  if (operation.exit_code !== null) return `exit ${operation.exit_code}`;
  return operation.status.toLowerCase();
}

const timeOf = ({ duration_ms: time }: OperationResult): string[] => (time === null ? [] : [humanDuration(time)]);

function keptImage(operation: OperationResult, tag: string | undefined): string[] {
  if (operation.disposable || operation.result_image === null) return [];
  if (operation.filesystem_changed === false) return [`nothing changed, image ${shortId(operation.result_image)}`];
  return [`kept ${shortId(operation.result_image)}${tag === undefined ? '' : ` as ${tag}`}`];
}

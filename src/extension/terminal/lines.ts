import type { CoppiceError } from '../../protocol/errors.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import type { ProcessView } from '../../protocol/schemas/sandboxes.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import { byteSize, duration, oneLine, outcome, sentence, shortId } from '../views/labels.ts';
import type { Kept } from './shellTerminal.ts';

/** The lines Coppice itself writes around a program's output. */

/** Bright black, not the faint attribute: themes and the terminal's least contrast keep it readable. */
export const grey = (text: string) => `\u001b[90m${text}\u001b[39m`;
const bold = (text: string) => `\u001b[1m${text}\u001b[22m`;
const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
const green = (text: string) => `\u001b[32m${text}\u001b[39m`;
const yellow = (text: string) => `\u001b[33m${text}\u001b[39m`;

const NOT_FOUND = 127;
const AFTER = 'Enter runs it again, Ctrl-D closes';

export const startLine = (title: string): string => `${grey('❯')} ${bold(oneLine(title))}`;

export function syncLine(state: VerbResult<'rsync'>): string {
  const changes = state.added + state.modified + state.deleted;
  const id = state.directory_state_id.slice(0, 'ds-'.length + 7);
  return `synced ${state.files} files, ${byteSize(state.bytes)}, ${changes} changed, in ${duration(state.duration_ms)} · ${id}`;
}

export const endLine = (operation: OperationView): string => [taskEndLine(operation), grey(AFTER)].join('\n');

/** State, time, what was kept, and for the usual stumbling blocks the next step. */
export function taskEndLine(operation: OperationView): string {
  const facts = [
    duration(operation.duration_ms ?? 0),
    ...(operation.image === null ? [] : [`in ${shortId(operation.image)}`]),
    ...kept(operation),
  ];
  const line = `${state(operation)} ${grey(`· ${facts.join(' · ')}`)}`;
  const next = nextStep(operation);
  return [line, ...(next === undefined ? [] : [yellow(next)])].join('\n');
}

export const cancelledLine = (): string => [yellow('⊘ cancelled'), grey(AFTER)].join('\n');

export const failure = (error: CoppiceError): string => [failureLine(error), grey(AFTER)].join('\n');

export function failureLine({ message, fix }: CoppiceError): string {
  return [red(`✘ ${sentence(message)}`), ...(fix === undefined ? [] : [yellow(sentence(fix))])].join('\n');
}

export const notice = (text: string): string => yellow(text);

/** After a shell: how it ended, and what becomes of its files. */
export function askLine({ exit_code, signal }: Pick<ProcessView, 'exit_code' | 'signal'>): string {
  const end = signal === null ? `exit ${exit_code}` : `killed by ${signal}`;
  return `${grey('❯')} ${bold('Keep what was changed as an image?')} ${grey(`(${end})`)}\n  ${bold('k')} keep   ${bold('d')} discard`;
}

export function keptLine({ image, changed, branch }: Kept): string {
  if (!changed) return grey('Nothing was changed, so no image was made · Ctrl-D closes');
  const moved = branch === undefined ? '' : ` · ⎇ ${branch} moved there`;
  return `${green(`✔ kept as ${shortId(image)}`)}${grey(`${moved} · Ctrl-D closes`)}`;
}

function state(operation: OperationView): string {
  if (operation.status === 'SUCCESS') return green(`✔ ${outcome(operation)}`);
  if (operation.status === 'CANCELLED') return yellow('⊘ cancelled');
  return red(`✘ ${outcome(operation)}`);
}

function kept(operation: OperationView): string[] {
  if (operation.result_image === null || operation.result_image === operation.image) {
    return operation.disposable || operation.filesystem_changed !== false ? [] : ['nothing changed'];
  }
  return [`kept as ${shortId(operation.result_image)}`];
}

function nextStep(operation: OperationView): string | undefined {
  if (operation.error?.fix !== undefined) return sentence(operation.error.fix);
  if (operation.exit_code !== NOT_FOUND) return undefined;
  const program = oneLine(operation.title).split(' ')[0];
  return `${program} is not in this image (a host: image has the machine’s /usr and /opt). Choose another image by “Coppice: Choose Image for Runs…”, or another command by “Change the Command for This Kind of File…”.`;
}

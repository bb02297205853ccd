import type { CoppiceError } from '../../protocol/errors.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import { byteSize, duration, oneLine, outcome, sentence, shortId } from '../views/labels.ts';

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

/** State, time, what was kept, and for the usual stumbling blocks the next step. */
export function endLine(operation: OperationView): string {
  const facts = [
    duration(operation.duration_ms ?? 0),
    ...(operation.image === null ? [] : [`in ${shortId(operation.image)}`]),
    ...kept(operation),
  ];
  const line = `${state(operation)} ${grey(`· ${facts.join(' · ')}`)}`;
  const next = nextStep(operation);
  return [line, ...(next === undefined ? [] : [yellow(next)]), grey(AFTER)].join('\n');
}

export const cancelledLine = (): string => [yellow('⊘ cancelled'), grey(AFTER)].join('\n');

export function failure(error: CoppiceError): string {
  return [
    red(`✘ ${sentence(error.message)}`),
    ...(error.fix === undefined ? [] : [yellow(sentence(error.fix))]),
    grey(AFTER),
  ].join('\n');
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
  return `${program} is not in this image (a host: image has the machine’s /usr and /opt). Choose another image by the setting coppice.image, or another command by coppice.runners.`;
}

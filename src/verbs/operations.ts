import type { OperationResult, OperationView, StepResult } from '../protocol/schemas/operations.ts';
import { ADDS, READS, REMOVES, type Verbs } from './verb.ts';
import { humanDuration, humanSize, oneLine, plural } from './wording.ts';

type OperationVerb =
  | 'run'
  | 'list_operations'
  | 'get_operation'
  | 'read_output'
  | 'wait_operations'
  | 'cancel_operation';

export const operationVerbs: Verbs<OperationVerb> = {
  run: {
    title: 'Run a command in a sandbox',
    description: [
      'Runs a command in a fresh sandbox made from an image and answers with its exit code and output. Every run starts',
      'from the image exactly as it is; nothing of another run is there.',
      'Disposable unless told otherwise: files the command writes are thrown away. Give disposable:false to keep them as a',
      'new image and go on from `result_image`; forgetting it is the common mistake with installs.',
      'Do not chain `a && b && c` in a kept run: use `steps`, each step is an image to go back to.',
      'A failed command is an answer, not an error: look at `exit_code` and `stderr`; a failed kept run keeps its image too.',
      'wait:false answers at once with an operation id, worth it for two or more runs or long ones; collect them by',
      'wait_operations. Output beyond truncate_output_at stays readable by read_output.',
    ].join('\n'),
    annotations: { ...ADDS, openWorld: true },
    core: true,
    render: result => ('kind' in result ? operationText(result) : startedText(result.operation_id, result)),
  },
  list_operations: {
    title: 'List operations',
    description:
      'Operations, newest first: runs, imports, builds and snapshots with status, exit code and images. Filter by status ' +
      'and kind; page by limit and offset. Output is not included: use get_operation or read_output.',
    annotations: READS,
    core: true,
    render: ({ operations, total }) =>
      listText(operations.map(operationLine), total, 'operation', 'No operations. run starts one.'),
  },
  get_operation: {
    title: 'Look at an operation',
    description:
      'One operation as it is now, with the beginning of its output. To wait for its end use wait_operations, do not poll.',
    annotations: READS,
    core: true,
    render: operationText,
  },
  read_output: {
    title: 'Read output',
    description:
      'Reads the output of an operation (or of a process in a sandbox) from the full copy on disk, also while it is ' +
      'running. Page with offset = next_offset until eof; tail gives the last bytes. Errors are usually on stream stderr.',
    annotations: READS,
    core: true,
    render: result => {
      const range = `bytes ${result.offset}–${result.next_offset} of ${result.size}`;
      const state = result.eof ? 'end' : `read on with offset:${result.next_offset}`;
      const cap = result.capped ? '; the stream grew over its cap, the rest was dropped' : '';
      return `${result.text}${result.text === '' || result.text.endsWith('\n') ? '' : '\n'}[${range}; ${state}${cap}]`;
    },
  },
  wait_operations: {
    title: 'Wait for operations',
    description: [
      'Waits until all of the operations have ended (mode "all") or the first one has (mode "any"), and answers with the',
      'results. A timeout cancels nothing: what is still going is listed in `pending`, call again.',
      'cancel_remaining:true stops the rest, useful with mode "any" when only the first result counts.',
    ].join('\n'),
    annotations: { ...READS, readOnly: false },
    core: true,
    render: result => {
      const lines = Object.values(result.results).map(operation => operationText(operation));
      if (result.pending.length > 0) lines.push(`pending: ${result.pending.join(' ')}`);
      if (result.cancelled.length > 0) lines.push(`cancelled: ${result.cancelled.join(' ')}`);
      if (result.unknown.length > 0) lines.push(`unknown: ${result.unknown.join(' ')}`);
      if (result.timed_out)
        lines.push('The wait timed out; nothing was cancelled. Call wait_operations again to go on.');
      lines.push(...result.hints.map(hintLine));
      return lines.join('\n\n');
    },
  },
  cancel_operation: {
    title: 'Cancel an operation',
    description:
      'Stops an operation and its whole process tree; a queued one never starts. One that has ended is left as it is.',
    annotations: REMOVES,
    core: true,
    render: result =>
      result.cancelled
        ? `${result.operation_id} was cancelled.`
        : `${result.operation_id} had already ended: ${result.status}.`,
  },
};

function startedText(id: string, { status, hints }: { readonly status: string; readonly hints: readonly string[] }) {
  return [`${id} ${status}`, `Collect it: wait_operations {"operation_ids":["${id}"]}`, ...hints.map(hintLine)].join(
    '\n',
  );
}

export function operationText(operation: OperationResult): string {
  const lines = [operationLine(operation), ...imageLines(operation), ...(operation.steps ?? []).map(stepLine)];
  if (operation.error) lines.push(`error ${operation.error.code}: ${operation.error.message}`);
  if (operation.error?.fix) lines.push(`fix: ${operation.error.fix}`);
  for (const stream of ['stdout', 'stderr'] as const) lines.push(...streamLines(operation, stream));
  return [...lines, ...operation.hints.map(hintLine)].join('\n');
}

export function operationLine(operation: OperationView): string {
  const parts = [operation.operation_id, operation.status];
  if (operation.timed_out) parts.push('timed out');
  else if (operation.signal !== null) parts.push(`killed by ${operation.signal}`);
  else if (operation.exit_code !== null) parts.push(`exit ${operation.exit_code}`);
  if (operation.duration_ms !== null) parts.push(`in ${humanDuration(operation.duration_ms)}`);
  return `${parts.join(' ')} · ${operation.kind} ${oneLine(operation.title, 100)}`;
}

function imageLines(operation: OperationResult): string[] {
  const { image, result_image: result, filesystem_changed: changed } = operation;
  if (result === null) return [];
  if (operation.kind !== 'run' || image === null) return [`result_image ${result}`];
  if (changed === false) return [`result_image ${result} (unchanged: the same image it started from)`];
  if (operation.disposable) return [`result_image ${result} (the changes of this disposable run were thrown away)`];
  return [`result_image ${result} (new, made from ${image})`];
}

export function stepLine(step: StepResult): string {
  const image = step.image === null ? '' : ` image ${step.image}`;
  return `step exit ${step.exit_code ?? '?'}${image}${step.cached ? ' cached' : ''} · ${oneLine(step.command, 100)}`;
}

function streamLines(operation: OperationResult, stream: 'stdout' | 'stderr'): string[] {
  const text = operation[stream];
  const total = operation.output_bytes[stream];
  if (text === '' && !operation.truncated[stream]) return [];
  const lines = [`${stream}:`, text.replace(/\n$/, '')];
  if (operation.truncated[stream]) {
    const offset = Buffer.byteLength(text);
    const next = JSON.stringify({ operation_id: operation.operation_id, stream, offset });
    lines.push(`[${stream} cut at ${humanSize(offset)} of ${humanSize(total)}; read on: read_output ${next}]`);
  }
  return lines;
}

const hintLine = (hint: string): string => `hint: ${hint}`;

/** A list with its total, and how to see the rest when this is only a page. */
export function listText(lines: readonly string[], total: number, noun: string, empty: string): string {
  if (lines.length === 0) return total === 0 ? empty : `None on this page, ${plural(total, noun)} in all.`;
  const rest = total > lines.length ? [`${lines.length} of ${plural(total, noun)}; page with offset and limit`] : [];
  return [...lines, ...rest].join('\n');
}

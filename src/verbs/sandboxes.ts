import type { ProcessView, SandboxView } from '../protocol/schemas/sandboxes.ts';
import { ADDS, READS, REMOVES, SETS, type Verbs } from './verb.ts';
import { humanDuration, humanSize, oneLine } from './wording.ts';

type SandboxVerb =
  | 'create_sandbox'
  | 'list_sandboxes'
  | 'get_sandbox'
  | 'stop_sandbox'
  | 'exec'
  | 'wait_process'
  | 'write_stdin'
  | 'resize'
  | 'kill_process'
  | 'read_sandbox_file'
  | 'write_sandbox_file'
  | 'snapshot';

export const sandboxVerbs: Verbs<SandboxVerb> = {
  create_sandbox: {
    title: 'Create a live sandbox',
    description:
      'Starts a sandbox that stays: several commands by exec see each other’s files and processes. For a single command ' +
      'use run. It ends with your connection unless detached:true; stop it with stop_sandbox, keep it with snapshot.',
    annotations: { ...ADDS, openWorld: true },
    core: false,
    render: sandboxLine,
  },
  list_sandboxes: {
    title: 'List sandboxes',
    description: 'Live sandboxes; show_terminated:true also those that have ended.',
    annotations: READS,
    core: false,
    render: ({ sandboxes }) => (sandboxes.length === 0 ? 'No sandboxes.' : sandboxes.map(sandboxLine).join('\n')),
  },
  get_sandbox: {
    title: 'Look at a sandbox',
    description: 'One sandbox with its status and processes.',
    annotations: READS,
    core: false,
    render: sandboxLine,
  },
  stop_sandbox: {
    title: 'Stop a sandbox',
    description: 'Ends a sandbox with all its processes. Its files are gone unless snapshot was called before.',
    annotations: REMOVES,
    core: false,
    render: sandboxLine,
  },
  exec: {
    title: 'Run a command in a live sandbox',
    description:
      'Starts one more process in a running sandbox, as an argument list: for a shell line give ["/bin/sh","-c","…"]. ' +
      'wait:true answers when it has ended; its output is read by read_output with the process id.',
    annotations: { ...ADDS, openWorld: true },
    core: false,
    render: processLine,
  },
  wait_process: {
    title: 'Wait for a process',
    description: 'Waits until a process of a sandbox has ended.',
    annotations: { ...READS, readOnly: false },
    core: false,
    render: processLine,
  },
  write_stdin: {
    title: 'Write to a process',
    description: 'Writes bytes (base64) to the standard input of a process started with stdin:"open" or a tty.',
    annotations: ADDS,
    core: false,
    render: () => 'written',
  },
  resize: {
    title: 'Resize a terminal',
    description: 'Tells a process that was started with a tty how large its terminal is now.',
    annotations: SETS,
    core: false,
    render: () => 'resized',
  },
  kill_process: {
    title: 'Signal a process',
    description: 'Sends a signal to one process of a sandbox (SIGTERM unless told otherwise).',
    annotations: REMOVES,
    core: false,
    render: () => 'sent',
  },
  read_sandbox_file: {
    title: 'Read a file of a sandbox',
    description: 'A file of a live sandbox as base64. Page big ones with offset = next_offset until eof.',
    annotations: READS,
    core: false,
    render: result =>
      `${humanSize(Buffer.byteLength(result.content_base64, 'base64'))} of ${humanSize(result.size)}` +
      (result.eof ? '' : `; read on with offset:${result.next_offset}`),
  },
  write_sandbox_file: {
    title: 'Write a file of a sandbox',
    description: 'Writes (or with append:true extends) a file of a live sandbox; parent folders are made.',
    annotations: { ...SETS, destructive: true },
    core: false,
    render: () => 'written',
  },
  snapshot: {
    title: 'Keep a sandbox as an image',
    description: 'Makes an image of a live sandbox’s files as they are now; the sandbox goes on.',
    annotations: ADDS,
    core: false,
    render: result =>
      `image ${result.image}${result.filesystem_changed ? '' : ' (unchanged)'}\noperation ${result.operation_id}`,
  },
};

function sandboxLine(sandbox: SandboxView): string {
  const command = sandbox.command === null ? 'idle' : oneLine(sandbox.command.join(' '), 80);
  const exit = sandbox.exit_code === null ? '' : ` exit ${sandbox.exit_code}`;
  const error = sandbox.error === null ? '' : `\nerror ${sandbox.error.code}: ${sandbox.error.message}`;
  return `${sandbox.sandbox_id} ${sandbox.status}${exit} image ${sandbox.image} · ${command}${error}`;
}

function processLine(process: ProcessView): string {
  const state = process.running
    ? 'running'
    : process.timed_out
      ? 'timed out'
      : process.signal !== null
        ? `killed by ${process.signal}`
        : `exit ${process.exit_code}`;
  const time = process.duration_ms === null ? '' : ` in ${humanDuration(process.duration_ms)}`;
  const { stdout, stderr } = process.output_bytes;
  return (
    `${process.process_id} ${state}${time} · ${oneLine(process.command.join(' '), 80)}\n` +
    `stdout ${humanSize(stdout)}, stderr ${humanSize(stderr)}: read_output {"operation_id":"${process.process_id}"}`
  );
}

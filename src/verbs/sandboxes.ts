import type { FileEntry } from '../protocol/schemas/files.ts';
import type { ProcessView, SandboxView, SessionView } from '../protocol/schemas/sandboxes.ts';
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
  | 'wait_sandbox'
  | 'list_sandbox_files'
  | 'stat_sandbox_file'
  | 'make_sandbox_folder'
  | 'remove_sandbox_file'
  | 'rename_sandbox_file'
  | 'sessions'
  | 'open_session'
  | 'close_session'
  | 'adopt_sandbox'
  | 'release_sandbox'
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
  wait_sandbox: {
    title: 'Wait for a sandbox',
    description: 'Waits until a sandbox runs, or with until:"over" until it has ended.',
    annotations: READS,
    core: false,
    render: sandboxLine,
  },
  list_sandbox_files: {
    title: 'List a folder of a sandbox',
    description: 'What lies in a folder of a live sandbox. Needs no program inside.',
    annotations: READS,
    core: false,
    render: ({ entries }) => (entries.length === 0 ? 'empty' : entries.map(fileLine).join('\n')),
  },
  stat_sandbox_file: {
    title: 'Look at a file of a sandbox',
    description: 'Kind, size, mode and time of one file or folder of a live sandbox; a link is told as itself.',
    annotations: READS,
    core: false,
    render: fileLine,
  },
  make_sandbox_folder: {
    title: 'Make a folder in a sandbox',
    description: 'Makes a folder and those above it in a live sandbox; one that is there is left as it is.',
    annotations: SETS,
    core: false,
    render: () => 'made',
  },
  remove_sandbox_file: {
    title: 'Remove a file of a sandbox',
    description: 'Removes a file, a link or an empty folder of a live sandbox; recursive:true takes what is in it too.',
    annotations: REMOVES,
    core: false,
    render: () => 'removed',
  },
  rename_sandbox_file: {
    title: 'Rename a file of a sandbox',
    description: 'Gives a file or folder of a live sandbox another place; a file that has that name is replaced.',
    annotations: REMOVES,
    core: false,
    render: () => 'renamed',
  },
  sessions: {
    title: 'List sessions',
    description: 'Sessions that scripts have open: sandboxes of one session end together.',
    annotations: READS,
    core: false,
    render: ({ sessions }) => (sessions.length === 0 ? 'No sessions.' : sessions.map(sessionLine).join('\n')),
  },
  open_session: {
    title: 'Open a session',
    description: 'Opens a session: sandboxes made with its id end when it is closed, and with your connection.',
    annotations: ADDS,
    core: false,
    render: sessionLine,
  },
  close_session: {
    title: 'Close a session',
    description: 'Stops all sandboxes of a session at once.',
    annotations: REMOVES,
    core: false,
    render: ({ stopped, failures }) =>
      [`stopped ${stopped.length}`, ...failures.map(each => `${each.sandbox_id} ${each.code}: ${each.message}`)].join(
        '\n',
      ),
  },
  adopt_sandbox: {
    title: 'Give a sandbox to a session',
    description:
      'The sandbox then ends with the session. What another open session owns it gives away only with steal:true.',
    annotations: SETS,
    core: false,
    render: sandboxLine,
  },
  release_sandbox: {
    title: 'Take a sandbox out of its session',
    description: 'The sandbox then lives until it is stopped, ends by itself, or reaches its lifetime.',
    annotations: SETS,
    core: false,
    render: sandboxLine,
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

function sessionLine(session: SessionView): string {
  const tags = session.tags.length === 0 ? '' : ` tagged ${session.tags.join(', ')}`;
  return `${session.session_id}${tags} · ${session.sandboxes.length} sandboxes`;
}

function fileLine(file: FileEntry): string {
  const link = file.link === null ? '' : ` → ${file.link}`;
  return `${file.type} ${file.mode.toString(8)} ${humanSize(file.size)} ${file.path}${link}`;
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

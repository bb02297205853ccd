import { z } from 'zod';
import * as common from './common.ts';
import { fileEntry } from './files.ts';
import { execution } from './operations.ts';

export const sandboxStatus = z.enum([
  'pending',
  'creating',
  'running',
  'terminating',
  'completed',
  'failed',
  'terminated',
]);
export type SandboxStatus = z.infer<typeof sandboxStatus>;

export const sandboxView = z.object({
  sandbox_id: z.string(),
  status: sandboxStatus,
  image: z.string(),
  tags: z.array(z.string()),
  command: z.array(z.string()).nullable(),
  exit_code: z.number().nullable(),
  runtime: common.runtimeName,
  created_at: z.string(),
  finished_at: z.string().nullable(),
  detached: z.boolean(),
  session: z.string().nullable().describe('Session that owns it'),
  processes: z.array(z.string()),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});
export type SandboxView = z.infer<typeof sandboxView>;

const argv = z
  .array(common.argument)
  .min(1, 'must name a program')
  .refine(words => words[0] !== '', { path: [0], message: 'must not be empty: it names the program' });
export const createSandboxInput = z.strictObject({
  sandbox_id: common.sandboxId.optional().describe('Minted by the caller'),
  image: common.imageReference.optional(),
  command: argv.optional().describe('Main process; without one the sandbox idles until it is stopped'),
  ...execution,
  tags: z.array(z.string().min(1).max(100)).max(50).default([]),
  lifetime: z.number().min(0).max(604_800).default(0).describe('Seconds until it is stopped; 0 = none'),
  detached: z.boolean().default(false).describe('true: lives on when the client that made it goes'),
  session_id: common.sessionId.optional().describe('Session that owns it; it ends with that'),
  workspace: common.hostPath.optional(),
});
export const listSandboxesInput = z.strictObject({
  tags: z.array(z.string()).default([]).describe('All of them'),
  status: sandboxStatus.optional(),
  show_terminated: z.boolean().default(false),
  limit: common.limit,
});
export const listSandboxesResult = z.object({ sandboxes: z.array(sandboxView) });
export const sandboxInput = z.strictObject({ sandbox_id: common.sandboxId });

export const waitSandboxInput = z.strictObject({
  sandbox_id: common.sandboxId,
  until: z.enum(['running', 'over']).default('running').describe('`over`: completed, failed or terminated'),
});

export const execInput = z.strictObject({
  sandbox_id: common.sandboxId,
  process_id: z
    .string()
    .regex(/^pr-[0-9a-f]{6,64}$/, 'is not a process id (pr-…)')
    .optional(),
  command: argv,
  env: common.environment.default({}),
  cwd: common.imagePath.optional(),
  user: common.argument.min(1).max(100).optional(),
  stdin: z.enum(['none', 'open']).default('none'),
  tty: z.strictObject({ cols: z.number().int().min(1).max(1000), rows: z.number().int().min(1).max(1000) }).optional(),
  timeout: z.number().min(0).max(604_800).default(0),
  wait: z.boolean().default(false),
});
export const processView = z.object({
  process_id: z.string(),
  sandbox_id: z.string(),
  command: z.array(z.string()),
  running: z.boolean(),
  exit_code: z.number().nullable(),
  signal: z.string().nullable(),
  timed_out: z.boolean(),
  output_bytes: z.object({ stdout: z.number(), stderr: z.number() }),
  duration_ms: z.number().nullable(),
});
export type ProcessView = z.infer<typeof processView>;

const process = { process_id: z.string().min(1) };
export const waitProcessInput = z.strictObject(process);
export const writeStdinInput = z.strictObject({
  ...process,
  data: z.base64().default(''),
  close: z.boolean().default(false),
});
export const resizeInput = z.strictObject({
  ...process,
  cols: z.number().int().min(1).max(1000),
  rows: z.number().int().min(1).max(1000),
});
export const killProcessInput = z.strictObject({
  ...process,
  signal: z
    .string()
    .regex(/^SIG[A-Z0-9]+$/, 'is not a signal, as SIGTERM')
    .default('SIGTERM'),
});
export const done = z.object({ ok: z.literal(true) });

export const readSandboxFileInput = z.strictObject({
  sandbox_id: common.sandboxId,
  path: common.imagePath,
  offset: common.offset,
  length: z.number().int().min(1).max(16_777_216).default(16_777_216),
});
export const readSandboxFileResult = z.object({
  content_base64: z.string(),
  size: z.number(),
  next_offset: z.number(),
  eof: z.boolean(),
});
export const writeSandboxFileInput = z.strictObject({
  sandbox_id: common.sandboxId,
  path: common.imagePath,
  content_base64: z.base64(),
  mode: z.number().int().min(0).max(0o7777).optional(),
  append: z.boolean().default(false),
});
export const snapshotInput = z.strictObject({
  sandbox_id: common.sandboxId,
  tag: common.tagName.optional(),
  title: z.string().trim().min(1).max(200).optional().describe('What was done, for the lineage'),
});
export const snapshotResult = z.object({
  operation_id: z.string(),
  image: z.string(),
  filesystem_changed: z.boolean(),
});

const place = { sandbox_id: common.sandboxId, path: common.imagePath };
export const sandboxPathInput = z.strictObject(place);
export const listSandboxFilesResult = z.object({ entries: z.array(fileEntry) });
export const makeSandboxFolderInput = z.strictObject({
  ...place,
  mode: z.number().int().min(0).max(0o7777).default(0o755),
});
export const removeSandboxFileInput = z.strictObject({
  ...place,
  recursive: z.boolean().default(false).describe('true also removes a folder that is not empty'),
});
export const renameSandboxFileInput = z.strictObject({ ...place, to: common.imagePath });

export const sessionView = z.object({
  session_id: z.string(),
  tags: z.array(z.string()),
  created_at: z.string(),
  sandboxes: z.array(z.string()),
});
export type SessionView = z.infer<typeof sessionView>;
const tags = z.array(z.string().min(1).max(100)).max(50).default([]);
export const sessionsInput = z.strictObject({ tags: z.array(z.string()).default([]).describe('All of them') });
export const sessionsResult = z.object({ sessions: z.array(sessionView) });
export const openSessionInput = z.strictObject({
  session_id: common.sessionId.optional().describe('Minted by the caller'),
  tags,
});
export const sessionInput = z.strictObject({ session_id: common.sessionId });
export const closeSessionResult = z.object({
  stopped: z.array(z.string()),
  failures: z.array(z.object({ sandbox_id: z.string(), code: z.string(), message: z.string() })),
});
export const adoptSandboxInput = z.strictObject({
  session_id: common.sessionId,
  sandbox_id: common.sandboxId,
  steal: z.boolean().default(false).describe('true takes it away from a session that is open'),
});
export const releaseSandboxInput = z.strictObject({ session_id: common.sessionId, sandbox_id: common.sandboxId });

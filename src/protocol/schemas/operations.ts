import { z } from 'zod';
import * as common from './common.ts';

const limits = z
  .strictObject({
    cpus: z.number().positive().max(1024).optional().describe('CPU cores, fractions allowed'),
    memory: z
      .union([
        z.number().int().min(1_048_576),
        z.string().regex(/^\d+(\.\d+)?\s*[kKmMgGtT]?i?[bB]?$/, 'is not a size, as 512m or 2g'),
      ])
      .optional()
      .describe('Memory: bytes, or a size such as `512m`'),
    pids: z.number().int().min(1).max(4_194_304).optional().describe('Processes and threads at once'),
  })
  .describe('Resource limits');

/** What `run` and a sandbox have in common: where and how a command runs. */
export const execution = {
  env: common.environment.default({}).describe('Environment variables'),
  cwd: common.imagePath.optional().describe("Working directory inside; the image's, else /"),
  user: common.argument.min(1).max(100).optional().describe('User inside: name, uid, or uid:gid'),
  limits: limits.optional(),
  network: z
    .enum(['nat', 'none', 'host'])
    .default('nat')
    .describe('`nat` reaches out, `none` reaches nothing, `host` shares the machine’s network'),
  secrets: common.environment.default({}).describe('Environment variables that are never written to a record'),
  directory_state_id: common.directoryStateId
    .optional()
    .describe('ds-… from `rsync`: the synced folder, laid over the image'),
  files: z
    .record(common.imagePath, z.uuid())
    .default({})
    .describe('Uploaded files laid over everything: path inside → UUID from `upload`'),
};

/** Runs that belong together. The limit lives in the engine, so it holds when whoever started them has gone. */
const group = z.strictObject({
  id: common.groupId,
  concurrency: z
    .number()
    .int()
    .min(1)
    .max(1024)
    .optional()
    .describe('How many of the group run at once; the latest given counts'),
});
const labels = z
  .record(z.string().min(1, 'must not be empty').max(100), z.string().max(1000))
  .refine(record => Object.keys(record).length <= 50, 'are more than 50');

export const runInput = z
  .strictObject({
    command: z
      .string()
      .min(1, 'must not be empty')
      .optional()
      .describe('The command line (or, with shell:false, the program)'),
    image: common.imageReference
      .optional()
      .describe(
        'Image to start from: UUID, `tag:NAME`, `branch:NAME` or `host:`. Left out: the checked-out branch’s head, else the default',
      ),
    args: z
      .array(common.argument)
      .default([])
      .describe('Arguments appended to the command, never re-parsed by a shell'),
    shell: z.boolean().default(true).describe('Run the command by /bin/sh -c'),
    ...execution,
    timeout: z
      .number()
      .min(0)
      .max(604_800)
      .default(30)
      .describe('Seconds until the whole process tree is killed; 0 = none'),
    disposable: z.boolean().default(true).describe('false keeps what the run changed as a new image'),
    stdin: z.string().optional().describe('Text given on standard input'),
    wait: z.boolean().default(true).describe('false answers at once with the operation id'),
    truncate_output_at: z
      .number()
      .int()
      .min(0)
      .max(10_000_000)
      .default(8000)
      .describe('Bytes per stream in the answer; the whole output stays readable by read_output'),
    steps: z
      .array(common.argument.min(1, 'must not be empty'))
      .min(1)
      .max(100)
      .optional()
      .describe('Commands run one after the other, each kept as an image of its own; instead of `command`'),
    tag: common.tagName.optional().describe('Tag for the resulting image (kept runs)'),
    workspace: common.hostPath
      .optional()
      .describe('Folder whose checked-out branch is the default image and moves on a kept run'),
    group: group.optional().describe('Runs that belong together, and how many of them run at once'),
    labels: labels.default({}).describe('Names and values to tell this run by, as a parameter matrix has them'),
  })
  .superRefine((input, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (input.command === undefined && input.steps === undefined)
      issue('command', 'is missing: give a command, or steps');
    if (input.command !== undefined && input.steps !== undefined)
      issue('steps', 'cannot be given together with command');
    if (input.command !== undefined && input.command.trim() === '') issue('command', 'must not be blank');
    if (input.command?.includes('\0')) issue('command', 'must not contain NUL');
    if (input.steps !== undefined && input.args.length > 0) issue('args', 'belong to a command, not to steps');
    if (input.steps !== undefined && !input.shell) issue('shell', 'must be true with steps');
    if (input.steps !== undefined && input.stdin !== undefined) issue('stdin', 'belongs to a command, not to steps');
    if (input.tag !== undefined && input.disposable && input.steps === undefined)
      issue('tag', 'needs disposable:false, a thrown-away run leaves no image');
  });

const resources = z.object({
  cpu_ms: z.number().nullable().describe('Processor time used, null where the machine cannot tell'),
  max_rss: z.number().nullable().describe('Largest memory use in bytes, null where the machine cannot tell'),
});
const perStream = z.object({ stdout: z.boolean(), stderr: z.boolean() });
export const wireError = z.object({
  code: z.string(),
  message: z.string(),
  field: z.string().optional(),
  fix: z.string().optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});

/** One line of a list: everything but the output. */
export const operationView = z.object({
  operation_id: z.string(),
  kind: common.operationKind,
  status: common.operationStatus,
  title: z.string().describe('The command line, or what is imported'),
  image: z.string().nullable().describe('UUID of the image it started from'),
  result_image: z.string().nullable(),
  exit_code: z.number().int().nullable(),
  signal: z.string().nullable(),
  timed_out: z.boolean(),
  filesystem_changed: z.boolean().nullable(),
  disposable: z.boolean(),
  directory_state_id: z.string().nullable(),
  group: z.string().nullable().describe('The runs it belongs to'),
  labels: z.record(z.string(), z.string()),
  runtime: common.runtimeName,
  client: z.string(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  finished_at: z.string().nullable(),
  duration_ms: z.number().nullable(),
  output_bytes: z.object({ stdout: z.number(), stderr: z.number() }),
  last_line: z.string().describe('The last line written so far, shortened'),
  error: wireError.nullable(),
});

export const stepResult = z.object({
  command: z.string(),
  exit_code: z.number().int().nullable(),
  image: z.string().nullable().describe('null: the step left none of its own'),
  cached: z.boolean().optional().describe('Of a build: it was done before'),
});

/** A whole operation, with its output as far as asked for. */
export const operationResult = operationView.extend({
  stdout: z.string(),
  stderr: z.string(),
  truncated: perStream,
  resources,
  steps: z.array(stepResult).optional(),
  hints: z.array(z.string()).describe('What would have served better'),
});
export const started = z.object({
  operation_id: z.string(),
  status: common.operationStatus,
  hints: z.array(z.string()),
});
export const runResult = z.union([operationResult, started]);

export const runAgainInput = z.strictObject({ operation_id: common.operationId });

export const listOperationsInput = z.strictObject({
  status: z.union([common.operationStatus, z.array(common.operationStatus)]).optional(),
  kind: common.operationKind.optional(),
  type: common.operationKind.optional().describe('The same as kind'),
  group: common.groupId.optional().describe('Only runs of this group'),
  since: common.instant.optional(),
  until: common.instant.optional(),
  limit: common.limit,
  offset: common.offset,
});
export const listOperationsResult = z.object({ operations: z.array(operationView), total: z.number() });

export const getOperationInput = z.strictObject({
  operation_id: common.operationId,
  truncate_output_at: z.number().int().min(0).max(10_000_000).default(8000),
});

export const readOutputInput = z
  .strictObject({
    operation_id: z.string().min(1).describe('Operation, or process of a sandbox'),
    stream: z.enum(['stdout', 'stderr']).default('stdout'),
    offset: common.offset.describe('Byte to start at'),
    length: z.number().int().min(1).max(16_777_216).default(65_536).describe('Bytes at most'),
    tail: z.number().int().min(1).max(16_777_216).optional().describe('The last N bytes, instead of offset'),
    encoding: z.enum(['text', 'base64']).default('text'),
    wait: z.boolean().default(false).describe('true answers when there is something from offset on, or the end'),
  })
  .refine(input => input.tail === undefined || input.offset === 0, {
    path: ['tail'],
    message: 'cannot be given together with offset',
  });
export const readOutputResult = z.object({
  text: z.string().describe('Whole characters only; base64 when so asked'),
  offset: z.number(),
  next_offset: z.number(),
  size: z.number().describe('Bytes written so far'),
  eof: z.boolean().describe('true: finished and read to the end'),
  capped: z.boolean().describe('true: the stream grew over the cap, what came after was dropped'),
});

export const waitOperationsInput = z.strictObject({
  operation_ids: z.array(z.string()).min(1, 'must name at least one operation'),
  mode: z.enum(['all', 'any']).default('all'),
  timeout: z.number().min(0).max(604_800).default(300).describe('Seconds; a timeout cancels nothing'),
  cancel_remaining: z.boolean().default(false).describe('Cancel what is still going when the wait ends'),
  truncate_output_at: z.number().int().min(0).max(10_000_000).default(8000),
});
export const waitOperationsResult = z.object({
  results: z.record(z.string(), operationResult),
  completed: z.array(z.string()),
  pending: z.array(z.string()),
  cancelled: z.array(z.string()),
  unknown: z.array(z.string()),
  timed_out: z.boolean(),
  hints: z.array(z.string()),
});

export const cancelOperationInput = z.strictObject({ operation_id: common.operationId });
export const cancelOperationResult = z.object({
  operation_id: z.string(),
  cancelled: z.boolean(),
  status: common.operationStatus,
});

export type RunInput = z.infer<typeof runInput>;
export type OperationView = z.infer<typeof operationView>;
export type OperationResult = z.infer<typeof operationResult>;
export type StepResult = z.infer<typeof stepResult>;

import { z } from 'zod';
import * as common from './common.ts';

/** Where a state appears inside a sandbox; the places that the sandbox itself fills are refused. */
const destination = common.imagePath
  .refine(
    path => !/^\/+$|^\/(proc|sys|dev)(\/|$)/.test(path),
    'must be a folder of its own, not /, /proc, /sys or /dev',
  )
  .refine(path => !path.split('/').some(part => part === '..' || part === '.'), 'must not contain . or ..');

export const rsyncInput = z.strictObject({
  source: common.hostPath.describe('Folder (or one file) of this machine; agents may leave it out: their workspace'),
  destination: destination.describe('Absolute path inside the sandbox, as /app'),
  exclude: z
    .array(
      z
        .string()
        .min(1, 'must not be empty')
        .refine(pattern => !pattern.includes('\0') && !pattern.includes('\n'), 'must be one pattern'),
    )
    .max(10_000)
    .default([])
    .describe('Patterns as in .gitignore, on top of the defaults'),
  gitignore: z.boolean().default(true).describe('Leave out what .gitignore files leave out'),
  default_excludes: z
    .boolean()
    .default(true)
    .describe('Leave out .git, node_modules, __pycache__, .venv, target, dist, build and the like'),
  owner: z
    .string()
    .regex(/^\d{1,10}:\d{1,10}$/, 'is not uid:gid')
    .optional()
    .describe('Owner inside as uid:gid; root when left out'),
  changed: z
    .array(z.string().min(1))
    .max(100_000)
    .optional()
    .describe('Paths below source that a watcher saw change; nothing else is looked at'),
});
export const rsyncResult = z.object({
  directory_state_id: z.string(),
  files: z.number(),
  bytes: z.number(),
  added: z.number(),
  modified: z.number(),
  deleted: z.number(),
  uploaded_bytes: z.number().describe('Bytes that were not in the store yet'),
  unchanged: z.boolean().describe('true: the same state as the last sync of this folder'),
  skipped: z.number().describe('Sockets, devices and pipes, which are never synced'),
  duration_ms: z.number(),
  hints: z.array(z.string()),
});

/** One directory state: an immutable snapshot of a synced folder plus its destination. */
export const stateView = z.object({
  directory_state_id: z.string(),
  source: z.string(),
  destination: z.string(),
  files: z.number(),
  bytes: z.number(),
  created_at: z.string(),
  used_at: z.string(),
  operations: z.number().describe('Operations that started with it'),
});
export type StateView = z.infer<typeof stateView>;

export const statesInput = z.strictObject({ source: common.hostPath.optional(), limit: common.limit });
export const statesResult = z.object({ states: z.array(stateView), total: z.number() });

export const applyInput = z.strictObject({
  image: common.imageReference,
  path: common.imagePath
    .optional()
    .describe('Folder inside the image, below a synced destination; default: that destination'),
  to: common.hostPath.optional().describe('Folder of this machine; default: the one that was synced'),
  paths: z.array(z.string().min(1)).max(10_000).default([]).describe('Only these files or folders, relative to `to`'),
  dry_run: z.boolean().default(false),
});
const applied = z.object({
  path: z.string(),
  change: z.enum(['A', 'M', 'D']),
  type: z.enum(['file', 'directory', 'link']),
  size: z.number(),
});
export const applyResult = z.object({
  image: z.string(),
  base_state: z.string().describe('The directory state both sides started from'),
  path: z.string(),
  to: z.string(),
  applied: z.array(applied).describe('What was written; with dry_run, what would be'),
  conflicts: z.array(z.object({ path: z.string(), reason: z.string() })).describe('Changed on both sides: left alone'),
  already: z.number().describe('Changed alike on both sides'),
  left_out: z.number().describe('Changes that the excludes of the sync leave out'),
  dry_run: z.boolean(),
});
export type Applied = z.infer<typeof applied>;

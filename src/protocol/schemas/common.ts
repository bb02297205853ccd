import { z } from 'zod';
import { isBranchName, isTagName, parseImageReference } from '../names.ts';

export const imageReference = z
  .string()
  .min(1, 'must not be empty')
  .refine(text => parseImageReference(text) !== undefined, 'is not an image reference: a UUID, tag:NAME or branch:NAME')
  .describe('An image: its UUID, `tag:NAME`, `branch:NAME`, or `host:`');
export const imageUuid = z.string().describe('UUID of an image');
export const operationId = z
  .string()
  .regex(/^op-[0-9a-f]{6,64}$/, 'is not an operation id (op-…)')
  .describe('Id of an operation: op-…');
export const sandboxId = z.string().regex(/^sb-[0-9a-f]{6,64}$/, 'is not a sandbox id (sb-…)');
export const groupId = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,99}$/, 'is not a group id: letters, digits and . _ -, at most 100')
  .describe('Id of a group of runs, chosen by whoever starts them');
export const sessionId = z.string().regex(/^se-[0-9a-f]{6,64}$/, 'is not a session id (se-…)');
export const directoryStateId = z.string().regex(/^ds-[0-9a-f]{8,64}$/, 'is not a directory state id (ds-…)');
export const tagName = z
  .string()
  .refine(isTagName, 'is not a tag name: letters, digits and . _ / : @ + -, at most 200');
export const branchName = z
  .string()
  .refine(isBranchName, 'is not a branch name: letters, digits and . _ / -, at most 100');
/** An absolute path inside an image. */
export const imagePath = z
  .string()
  .refine(path => path.startsWith('/'), 'must be absolute, it names a place inside the image')
  .refine(path => !path.includes('\0'), 'must not contain NUL');
/** An absolute path on this machine; surfaces resolve relative ones before they call. */
export const hostPath = z
  .string()
  .refine(
    path => path.startsWith('/') || /^[A-Za-z]:[\\/]/.test(path) || path.startsWith('\\\\'),
    'must be an absolute path on this machine',
  )
  .refine(path => !path.includes('\0'), 'must not contain NUL');
export const instant = z
  .string()
  .refine(text => !Number.isNaN(Date.parse(text)), 'is not a time: use ISO 8601, as 2026-01-31T12:00:00Z')
  .describe('ISO 8601 time');
export const limit = z.number().int().min(1).max(10_000).default(100);
export const offset = z.number().int().min(0).default(0);
/** A word of a command line; the kernel would end it at a NUL. */
export const argument = z.string().refine(text => !text.includes('\0'), 'must not contain NUL');
export const environment = z.record(
  z.string().regex(/^[^=\0]+$/, 'is not a variable name'),
  z.string().refine(value => !value.includes('\0'), 'must not contain NUL'),
);

export const runtimeName = z.enum(['native', 'docker']);
export type RuntimeName = z.infer<typeof runtimeName>;
export const operationKind = z.enum(['run', 'import_image', 'build', 'snapshot']);
export type OperationKind = z.infer<typeof operationKind>;
export const operationStatus = z.enum(['PENDING', 'EXECUTING', 'SUCCESS', 'FAILED', 'CANCELLED']);
export type OperationStatus = z.infer<typeof operationStatus>;

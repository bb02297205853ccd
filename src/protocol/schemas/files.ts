import { z } from 'zod';
import * as common from './common.ts';

export const uploadInput = z
  .strictObject({
    content: z.string().optional().describe('Text'),
    content_base64: z.base64().optional().describe('Bytes'),
    path: common.hostPath.optional().describe('A file of this machine'),
  })
  .superRefine((input, context) => {
    const given = [input.content, input.content_base64, input.path].filter(value => value !== undefined).length;
    if (given !== 1)
      context.addIssue({
        code: 'custom',
        path: ['content'],
        message: 'give exactly one of content, content_base64, path',
      });
  });
export const uploadResult = z.object({ uuid: z.string(), sha256: z.string(), size: z.number() });

const fileType = z.enum(['file', 'directory', 'link', 'other']);
export const fileEntry = z.object({
  path: z.string(),
  name: z.string(),
  type: fileType,
  size: z.number(),
  mode: z.number().int().describe('Permission bits'),
  uid: z.number(),
  gid: z.number(),
  mtime: z.string(),
  link: z.string().nullable().describe('Where a symbolic link points'),
  stands_for: fileType
    .nullable()
    .optional()
    .describe('With `follow`: what a link leads to, null when nothing is there'),
});
export type FileEntry = z.infer<typeof fileEntry>;

export const listFilesInput = z.strictObject({
  image: common.imageReference,
  path: common.imagePath.default('/'),
  follow: z.boolean().default(false).describe('Say of each link what it leads to'),
  limit: z.number().int().min(1).max(100_000).default(1000),
  offset: common.offset,
});
export const listFilesResult = z.object({
  image: z.string(),
  path: z.string(),
  entries: z.array(fileEntry),
  total: z.number(),
});

const foundBy = common.imageReference
  .optional()
  .describe('As the run that made this image found it: with its directory state and files laid over `image`');

export const statFileInput = z.strictObject({
  image: common.imageReference,
  path: common.imagePath,
  found_by: foundBy,
});
export const statFileResult = z.object({
  image: z.string(),
  entry: fileEntry.describe('The path itself, a link as a link'),
  target: fileEntry
    .nullable()
    .describe('What a link leads to; null for one that leads nowhere, and for what is no link'),
});

export const readFileInput = z.strictObject({
  image: common.imageReference,
  path: common.imagePath,
  found_by: foundBy,
  offset: common.offset,
  length: z.number().int().min(1).max(16_777_216).default(65_536),
  encoding: z.enum(['auto', 'text', 'base64']).default('auto').describe('auto: text when it is UTF-8, else base64'),
});
export const readFileResult = z.object({
  image: z.string(),
  path: z.string(),
  encoding: z.enum(['text', 'base64']),
  content: z.string(),
  size: z.number(),
  offset: z.number(),
  next_offset: z.number(),
  eof: z.boolean(),
});

export const grepInput = z.strictObject({
  image: common.imageReference,
  path: common.imagePath.default('/'),
  pattern: z.string().min(1, 'must not be empty').describe('JavaScript regular expression'),
  glob: z.string().optional().describe('Only files whose path matches'),
  ignore_case: z.boolean().default(false),
  max_total: z.number().int().min(1).max(10_000).default(200),
});
export const grepResult = z.object({
  image: z.string(),
  matches: z.array(z.object({ path: z.string(), line: z.number(), text: z.string() })),
  truncated: z.boolean(),
  files_searched: z.number(),
});

export const downloadInput = z.strictObject({
  image: common.imageReference,
  path: z
    .string()
    .min(1, 'must not be empty')
    .refine(path => path.startsWith('/'), 'must be absolute, it names a place inside the image')
    .describe('A file, a folder, or a glob'),
  destination: common.hostPath.describe('Place on this machine; with a / at its end a folder to put it into'),
  executable: z.boolean().default(false).describe('Set the executable bits'),
  overwrite: z.boolean().default(true),
});
export const downloadResult = z.object({
  destination: z.string(),
  files: z.number(),
  size: z.number(),
  executable: z.boolean(),
  skipped: z.array(z.string()).describe('Devices, sockets and links that would lead outside'),
});

export const diffInput = z.strictObject({
  image: common.imageReference,
  against: common.imageReference.optional().describe('Default: the parent'),
  path: common.imagePath.default('/'),
  text: z.boolean().default(false).describe('With a text diff of each changed file'),
  limit: z.number().int().min(1).max(100_000).default(5000),
});
export const diffEntry = z.object({
  path: z.string(),
  change: z.enum(['A', 'M', 'D']),
  type: z.enum(['file', 'directory', 'link', 'other']),
  size: z.number(),
  size_before: z.number(),
  text: z.string().nullable().optional().describe('Unified diff; null for binary or very large files'),
});
export const diffResult = z.object({
  image: z.string(),
  against: z.string().nullable(),
  entries: z.array(diffEntry),
  total: z.number(),
  added_bytes: z.number(),
});
export type DiffEntry = z.infer<typeof diffEntry>;

import { z } from 'zod';
import * as common from './common.ts';
import { stepResult, wireError } from './operations.ts';

export const imageView = z.object({
  uuid: z.string(),
  tag: z.string().nullable(),
  created_at: z.string(),
  size: z.number().describe('Bytes this image adds to its parent'),
  parent: z.string().nullable(),
  operation_id: z.string().nullable(),
  source: z.string().nullable().describe('Where a root image came from, as `host:`'),
  runtime: common.runtimeName,
  branches: z.array(z.string()).describe('Branches whose head it is'),
  /** What made it, for labels in trees. */
  title: z.string(),
  exit_code: z.number().nullable().describe('Of the command that made it; null where none did'),
  drifted: z.boolean().describe('A `host:` image whose machine has changed since'),
});
export const imageConfig = z.object({
  env: z.record(z.string(), z.string()),
  cwd: z.string(),
  user: z.string(),
  entrypoint: z.array(z.string()),
  cmd: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  architecture: z.string(),
});
export type ImageConfig = z.infer<typeof imageConfig>;
export type ImageView = z.infer<typeof imageView>;

export const listImagesInput = z.strictObject({
  tag_prefix: z.string().optional().describe('Only images whose tag starts so'),
  tagged: z.boolean().optional().describe('Only tagged, or only untagged images'),
  runtime: common.runtimeName.optional(),
  since: common.instant.optional(),
  until: common.instant.optional(),
  limit: common.limit,
  offset: common.offset,
});
export const listImagesResult = z.object({ images: z.array(imageView), total: z.number() });

export const getImageInput = z.strictObject({ image: common.imageReference });
export const getImageResult = imageView.extend({
  config: imageConfig,
  digest: z.string().nullable(),
  total_size: z.number().describe('Bytes of the image with its ancestors'),
  depth: z.number(),
});

export const importImageInput = z.strictObject({
  registry_url: z
    .string()
    .min(1, 'must not be empty')
    .describe(
      '`docker://name:tag`, `oci:`, `oci-archive:` or `docker-archive:` with a path, `rootfs:/path/to.tar` or folder, `host:`',
    ),
  tag: common.tagName.optional().describe('Default: the short name of its source'),
  runtime: common.runtimeName.optional().describe('Where the image shall live; the default is what works here'),
  wait: z.boolean().default(true),
  force: z.boolean().default(false).describe('Import again although it is here'),
  platform: z
    .string()
    .regex(/^[a-z0-9]+\/[a-z0-9]+(\/v\d+)?$/, 'is not a platform, as linux/amd64')
    .optional(),
  timeout: z.number().min(0).max(604_800).default(0),
});
export const importImageResult = z.object({
  operation_id: z.string().nullable().describe('null when the image was already here'),
  status: common.operationStatus,
  image: z.string().nullable().describe('null while it is being imported'),
  digest: z.string().nullable(),
  already_present: z.boolean(),
  checked: z.boolean().describe('false: the source could not be asked, this is the local one'),
  tag: z.string().nullable(),
  error: z.object({ code: z.string(), message: z.string(), fix: z.string().optional() }).nullable(),
  hints: z.array(z.string()),
});

export const buildInput = z.strictObject({
  context: common.hostPath.describe('The folder that COPY and ADD take from; .dockerignore is heeded'),
  dockerfile: z
    .string()
    .min(1, 'must not be empty')
    .refine(path => !path.includes('\0'), 'must not contain NUL')
    .optional()
    .describe('Default: Dockerfile. Relative to the context, or absolute'),
  tag: common.tagName.optional(),
  target: z.string().min(1, 'must not be empty').max(200).optional().describe('The stage to build; default: the last'),
  build_args: common.environment.default({}).describe('Values for ARG. They stay readable in the image’s history'),
  no_cache: z.boolean().default(false),
  runtime: common.runtimeName.optional().describe('Where it is built; native builds none yet'),
  wait: z.boolean().default(true).describe('false: answers when the build begins; images of FROM are imported before'),
  confined: z
    .string()
    .max(500)
    .optional()
    .describe('An agent asks: nothing may use the machine’s own network. How a person allows it, for the refusal'),
});
export const buildResult = z.object({
  operation_id: z.string(),
  status: common.operationStatus,
  image: z.string().nullable().describe('null while it is being built, and when that failed'),
  tag: z.string().nullable(),
  parent: z.string().nullable().describe('The image it was built on; null where that is none of Coppice’s'),
  steps: z.array(stepResult),
  error: wireError.nullable(),
  hints: z.array(z.string()),
});

export const registryAuthInput = z.strictObject({
  registry_url: z
    .string()
    .min(1, 'must not be empty')
    .describe('The registry: `ghcr.io`, `docker.io`, `host:port`, or an image of it that only some may read'),
  username: z
    .string()
    .min(1, 'must not be empty')
    .regex(/^[^:\0\r\n]+$/, 'must hold neither a colon nor line ends')
    .optional(),
  token: z
    .string()
    .min(1, 'must not be empty')
    .max(65_536)
    .regex(/^[^\0\r\n]+$/, 'must not hold line ends')
    .optional()
    .describe('A token, or a password'),
  forget: z.boolean().default(false).describe('Instead: what is kept for this registry goes'),
});
export const registryAuthResult = z.object({
  registry: z.string(),
  username: z.string().nullable(),
  status: z
    .enum(['kept', 'not_needed', 'forgotten', 'not_known'])
    .describe('not_needed: the registry lets everybody in, nothing was kept'),
  hints: z.array(z.string()),
});

export const exportImageInput = z.strictObject({
  image: common.imageReference,
  destination: common.hostPath.describe('A file on this machine, or a folder to put it into'),
  format: z
    .enum(['oci-archive', 'docker-archive', 'rootfs'])
    .default('oci-archive')
    .describe('rootfs: one plain tar of all files'),
  overwrite: z.boolean().default(true),
});
export const exportImageResult = z.object({
  image: z.string(),
  destination: z.string(),
  format: z.string(),
  size: z.number(),
  digest: z.string().describe('Of the manifest; docker-archive: of the configuration; rootfs: of the tar'),
  layers: z.number(),
});

export const setTagInput = z.strictObject({
  image: common.imageReference,
  tag: common.tagName.nullable().describe('null takes the tag away'),
});
export const setTagResult = z.object({
  image: z.string(),
  tag: z.string().nullable(),
  previous_tag: z.string().nullable().describe('The tag this image had'),
  moved_from: z.string().nullable().describe('The image that had the tag until now'),
  hints: z.array(z.string()),
});

export const removeImageInput = z.strictObject({ image: common.imageReference, force: z.boolean().default(false) });
export const removal = z.object({
  image: z.string(),
  tag: z.string().nullable(),
  size: z.number(),
  reason: z.string(),
});
export const removeImageResult = z.object({ removed: z.array(removal), freed_bytes: z.number() });

export const pruneInput = z.strictObject({
  unused_for: z
    .number()
    .min(0)
    .default(14 * 86_400)
    .describe('Seconds since an image was last used'),
  keep_tagged: z.boolean().default(true),
  dry_run: z.boolean().default(false),
});
export const pruneResult = z.object({
  removed: z.array(removal),
  kept: z.number(),
  freed_bytes: z.number(),
  dry_run: z.boolean(),
});

export const lineageInput = z.strictObject({ image: common.imageReference });
const edge = z.object({
  image: z.string(),
  tag: z.string().nullable(),
  command: z.string().nullable(),
  exit_code: z.number().nullable(),
  operation_id: z.string().nullable(),
  created_at: z.string(),
});
export const lineageResult = z.object({
  image: z.string(),
  tag: z.string().nullable(),
  parent: edge.nullable().describe('The parent image, and the command that led from it to this image'),
  children: z.array(edge).describe('Images made from this one, each with the command that made it'),
  ancestors: z.array(edge).describe('From the parent to the root, each with the command that led on from it'),
  root: z.object({ image: z.string(), registry_url: z.string().nullable() }),
  depth: z.number().describe('Edges between the root and this image'),
  is_known: z.boolean().describe('false: the chain breaks off at an image that is no longer here'),
});

/** `script` is for a shell, `dockerfile` for docker build. */
export const recipeInput = z.strictObject({
  image: common.imageReference,
  format: z.enum(['script', 'dockerfile']).default('script'),
});
export const recipeResult = z.object({
  image: z.string(),
  text: z.string(),
  commands: z.number().describe('Commands from the root to the image'),
});
export type LineageEdge = z.infer<typeof edge>;
export type Lineage = z.infer<typeof lineageResult>;
export type Removal = z.infer<typeof removal>;

import { z } from 'zod';
import type { ImageConfig } from '../protocol/schemas/images.ts';
import { isDigest } from './digest.ts';
import { notAnImage, readDocument } from './manifest.ts';
import type { Platform } from './platform.ts';

/** What registries and tools take at most. */
export const LARGEST_CONFIG = 8 * 1_048_576;

const text = z.string().refine(value => !value.includes('\0'), 'must not contain NUL');
const words = z.array(text).nullish();
const document = z.object({
  architecture: z.string().default(''),
  os: z.string().default('linux'),
  variant: z.string().optional(),
  config: z
    .object({
      Env: words,
      WorkingDir: text.nullish(),
      User: text.nullish(),
      Entrypoint: words,
      Cmd: words,
      Labels: z.record(z.string(), text).nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string().refine(isDigest, 'is not a digest')).nullish() }),
});

export interface DescribedImage {
  readonly config: ImageConfig;
  readonly platform: Platform;
  /** Lowest first. */
  readonly diffIds: readonly string[];
}

/** What an image says of itself; the same document whether it comes from a registry or from `docker save`. */
export function readImageConfig(bytes: Buffer, layers: number, name: string): DescribedImage {
  const { architecture, os, variant, config, rootfs } = readDocument(document, bytes, `the configuration of ${name}`);
  const diffIds = rootfs.diff_ids ?? [];
  if (diffIds.length !== layers)
    throw notAnImage(`${name} has ${layers} layers, but its configuration names ${diffIds.length}`);
  const cwd = config?.WorkingDir ?? '';
  return {
    config: {
      env: Object.fromEntries((config?.Env ?? []).map(readVariable)),
      cwd: cwd === '' || cwd.startsWith('/') ? cwd || '/' : `/${cwd}`,
      user: config?.User ?? '',
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      labels: config?.Labels ?? {},
      architecture,
    },
    platform: { os, architecture, ...(variant === undefined || variant === '' ? {} : { variant }) },
    diffIds,
  };
}

/** `NAME` alone is a variable without a value. */
function readVariable(text: string): [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

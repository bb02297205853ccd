/** The shapes of ids and references. One place, so that every surface reads a reference in the same way. */

export type ImageUuid = string;
export type OperationId = `op-${string}`;
export type SandboxId = `sb-${string}`;
export type DirectoryStateId = `ds-${string}`;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const UUID_PREFIX = /^[0-9a-f]{6,8}(-[0-9a-f-]{0,27})?$/;
/** `python:3.11-slim`, `team/base`, `registry:5000/x:1`; no spaces, never looks like an option. */
const TAG = /^[A-Za-z0-9][A-Za-z0-9._/:@+-]{0,199}$/;
const BRANCH = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/;

export const isUuid = (text: string): boolean => UUID.test(text);
export const isUuidPrefix = (text: string): boolean => UUID_PREFIX.test(text);
const RESERVED = /^(tag|branch|host):|^(op|sb|ds)-/;
/** A tag that reads like one of our ids or prefixes could be mistaken for another kind of reference. */
export const isTagName = (text: string): boolean => TAG.test(text) && !isUuid(text) && !RESERVED.test(text);
export const isBranchName = (text: string): boolean => BRANCH.test(text) && !text.includes('..') && !text.endsWith('/');

export type ImageReference =
  | { readonly kind: 'uuid'; readonly uuid: string }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'branch'; readonly branch: string }
  /** The machine's own files, imported when first asked for. */
  | { readonly kind: 'host' }
  /** Written without a prefix: a tag, unless it is also a unique UUID prefix. */
  | { readonly kind: 'bare'; readonly text: string };

/** `undefined` when the text cannot be a reference at all. */
export function parseImageReference(text: string): ImageReference | undefined {
  if (isUuid(text)) return { kind: 'uuid', uuid: text };
  if (text === 'host:') return { kind: 'host' };
  if (text.startsWith('tag:')) return text.length > 4 ? { kind: 'tag', tag: text.slice(4) } : undefined;
  if (text.startsWith('branch:')) return text.length > 7 ? { kind: 'branch', branch: text.slice(7) } : undefined;
  if (isUuidPrefix(text)) return { kind: 'prefix', prefix: text };
  if (TAG.test(text)) return { kind: 'bare', text };
  return undefined;
}

/** The guides, in the order they are offered. */
export const guideSections = ['workflow', 'quickstart', 'reference', 'state', 'async', 'tagging', 'errors'] as const;

import { createHash, type Hash } from 'node:crypto';

/** `sha256:…` or `sha512:…`: what content is called by everyone who speaks OCI. */
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export const isDigest = (text: string): boolean => DIGEST.test(text);

export function hashFor(digest: string): Hash {
  return createHash(digest.slice(0, digest.indexOf(':')));
}

export function digestOf(bytes: Buffer, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

export function matches(bytes: Buffer, digest: string): boolean {
  return digestOf(bytes, digest.startsWith('sha512:') ? 'sha512' : 'sha256') === digest;
}

export const shortDigest = (digest: string): string => digest.replace(/^(sha\d+:[0-9a-f]{12}).*$/, '$1');

import { Minimatch } from 'minimatch';

export function globMatcher(pattern: string): Minimatch {
  return new Minimatch(pattern, { dot: true, nocomment: true, nonegate: true });
}

/** The steps before the first that is a pattern. */
export function plainStart(pattern: string): string {
  const steps = pattern.split('/');
  const wild = steps.findIndex(step => /[*?[\]{}()!+@\\]/.test(step));
  return wild < 0 ? pattern : steps.slice(0, wild).join('/') || '/';
}

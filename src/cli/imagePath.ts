import { UsageError } from './usageError.ts';

export interface ImagePath {
  readonly image: string;
  readonly path: string;
}

/** `IMAGE:/path`, as in `tag:deps:/opt/x` and `host::/etc/issue`; undefined when the word is none. */
export function parseImagePath(word: string): ImagePath | undefined {
  const at = word.indexOf(':/');
  return at < 1 ? undefined : { image: word.slice(0, at), path: word.slice(at + 1) };
}

/** A place in an image, in one word (`IMAGE:/path`) or in two (`IMAGE /path`). */
export function placeInImage(command: string, words: readonly string[], otherwise?: string): ImagePath {
  const [first = '', second] = words;
  const place = parseImagePath(first);
  if (place && second === undefined) return place;
  if (place) throw new UsageError(`${JSON.stringify(second)} is one word too many, ${first} names the path`, command);
  const path = second ?? otherwise;
  if (path === undefined)
    throw new UsageError(`the path is missing, as in ${first || 'IMAGE'}:/etc/os-release`, command);
  if (!path.startsWith('/')) throw new UsageError(`a path inside an image begins with /, not ${path}`, command);
  return { image: first, path };
}

/** The forms of a source that an image can be imported from. One place, so that a fence reads them as the engine does. */

export const archiveSchemes = ['oci', 'oci-archive', 'docker-archive'] as const;
export type ArchiveScheme = (typeof archiveSchemes)[number];

export type SourceText =
  | { readonly kind: 'host' }
  | { readonly kind: 'rootfs'; readonly path: string }
  /** An image that Docker or Podman has already, by its name or id there. */
  | { readonly kind: 'docker-daemon'; readonly reference: string }
  /** A path, and after a colon the name of one image in it. */
  | { readonly kind: 'archive'; readonly scheme: ArchiveScheme; readonly place: string }
  /** `docker://…`, `http://…`, or a bare name. */
  | { readonly kind: 'registry'; readonly text: string };

const LOCAL = /^(rootfs|oci|oci-archive|docker-archive):(.*)$/s;
const DAEMON = 'docker-daemon:';
/** Tools with sources of their own, which are not names in a registry. */
const FOREIGN = /^(?:dir|containers-storage|ostree|sif|tarball|file|ftp|ssh):/;

/** undefined: it has the form of none. */
export function readSource(text: string): SourceText | undefined {
  if (text === 'host:') return { kind: 'host' };
  if (text.startsWith(DAEMON)) return { kind: 'docker-daemon', reference: text.slice(DAEMON.length) };
  const [, scheme, place] = LOCAL.exec(text) ?? [];
  if (scheme === 'rootfs') return { kind: 'rootfs', path: oneSlash(place!) };
  if (scheme !== undefined) return { kind: 'archive', scheme: scheme as ArchiveScheme, place: oneSlash(place!) };
  if (FOREIGN.test(text) || text.startsWith('/') || text.startsWith('.')) return undefined;
  return { kind: 'registry', text };
}

/** `rootfs://etc` and `rootfs:/etc` are the same place. */
const oneSlash = (place: string): string => place.replace(/^\/{2,}/, '/');

/** What `path:name` can mean, the longest path first: names of images hold colons, and so may paths. */
export function placeReadings(place: string): readonly { readonly path: string; readonly name: string | undefined }[] {
  const colons = [...place.matchAll(/:/g)].map(match => match.index).filter(at => at > 0);
  return [
    { path: place, name: undefined },
    ...colons.reverse().map(at => ({ path: place.slice(0, at), name: place.slice(at + 1) })),
  ];
}

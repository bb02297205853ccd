import path from 'node:path';

/**
 * Where things are as the namespace host sees them. /run is a tmpfs of its own there, so every name is short (overlay's
 * options must fit in one page) and the same for root and for an ordinary user.
 */

/** COPPICE_HOME/native, one mount: moving a folder within it is a rename. */
export const storePath = '/run/n';
/** One folder per layer, a tree that looks like a root. */
export const layersPath = `${storePath}/layers`;
/** What the store knows about a layer: `<id>.json`. */
export const metaPath = `${storePath}/meta`;
/** One folder per sandbox: `upper`, the tree it writes, and `work`, overlay's own. */
export const runsPath = `${storePath}/runs`;
/** Files on their way between engine and host; the engine makes them, the host takes them. */
export const inboxPath = `${storePath}/inbox`;
/** Half-made layers; whatever is here when the host starts is dropped. */
export const stagingPath = `${storePath}/staging`;

/** Everything below lives in the tmpfs and vanishes with the host. */
/** Mount points of read-only merged views of images. */
export const viewsPath = '/run/v';
/** Short-lived mount points. */
export const scratchPath = '/run/t';
/** One folder per sandbox: mount point of its root, OCI bundle, /etc/hosts and the like. */
export const bundlesPath = '/run/b';
/** crun's state. */
export const containersPath = '/run/c';
/** Delegated cgroup folders, one per controller, when there are any. */
export const cgroupsPath = '/run/g';
/** Named pipes for the output and input of processes. */
export const pipesPath = '/run/f';
/** The socket over which whole files and archives come and go, one connection each. */
export const streamsPath = `${inboxPath}/streams.sock`;
/** The OCI runtime, where it could be mounted read-only. */
export const sealedPath = '/run/o';
/** Our pause program. */
export const pausePath = '/run/pause';

export function layerPath(id: string): string {
  return path.join(layersPath, id);
}

export function runPath(sandbox: string): string {
  return path.join(runsPath, sandbox);
}

/** The tree a sandbox writes: same shape as a layer. */
export function upperPath(sandbox: string): string {
  return path.join(runsPath, sandbox, 'upper');
}

export function bundlePath(sandbox: string): string {
  return path.join(bundlesPath, sandbox);
}

/** Its own /etc/hosts, hostname and resolv.conf. */
export function etcPath(sandbox: string): string {
  return path.join(runsPath, sandbox, 'etc');
}

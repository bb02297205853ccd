import { invalidInput } from '../protocol/errors.ts';
import { isDigest } from './digest.ts';

/** An image in a registry, by the name people write. */
export interface RegistryReference {
  /** As people know it: `docker.io`, `localhost:5000`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
  /** Written with `http://`: the user wants it without TLS. */
  readonly plainHttp: boolean;
}

const DOCKER_HUB = 'docker.io';
const HUB_NAMES: readonly string[] = [DOCKER_HUB, 'index.docker.io', 'registry-1.docker.io', 'hub.docker.com'];
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i;
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;

/** Reads `docker://name:tag`, a bare name, `host:port/name@sha256:…`, `http://host:port/name`; docker's defaults. */
export function parseReference(text: string, field = 'registry_url'): RegistryReference {
  const { scheme, rest } = splitScheme(text);
  refuseUserInfo(rest, field);
  const { registry, path } = splitRegistry(rest, scheme.startsWith('http'));
  if (!isHost(registry)) throw invalidInput(field, `${registry} is not a host, as registry.example.com:5000`);
  const { name, digest } = splitDigest(path, field);
  const { repository, tag } = splitTag(name);
  if (tag !== undefined && !TAG.test(tag)) throw invalidInput(field, `${tag} is not a tag`);
  const hub = HUB_NAMES.includes(registry.toLowerCase());
  const full = hub && !repository.includes('/') && repository !== '' ? `library/${repository}` : repository;
  checkRepository(repository, full, field);
  return {
    registry: hub ? DOCKER_HUB : registry.toLowerCase(),
    repository: full,
    tag,
    digest,
    plainHttp: scheme === 'http',
  };
}

/** Only the registry of what may be a whole reference, for credentials. */
export function parseRegistry(text: string, field = 'registry_url'): RegistryReference {
  const { scheme, rest } = splitScheme(text);
  refuseUserInfo(rest, field);
  const place = rest.replace(/\/(?:v[12]\/?)?$/, '');
  if (place.includes('/')) return parseReference(text, field);
  const hub = HUB_NAMES.includes(place.toLowerCase());
  if (!hub && !isHost(place)) throw invalidInput(field, `${place} is not a host, as registry.example.com:5000`);
  return {
    registry: hub ? DOCKER_HUB : place.toLowerCase(),
    repository: '',
    tag: undefined,
    digest: undefined,
    plainHttp: scheme === 'http',
  };
}

function splitScheme(text: string): { scheme: string; rest: string } {
  const [, scheme, rest] = /^(docker|https?):\/\/(.*)$/s.exec(text) ?? [];
  return { scheme: scheme ?? '', rest: rest ?? text };
}

/** Records and errors quote references: a password in one would be everywhere. Nothing of it is repeated here. */
function refuseUserInfo(rest: string, field: string): void {
  if (!/^[^/]*@/.test(rest) || /^[^/@]+@sha\d+:[0-9a-f]+$/.test(rest)) return;
  throw invalidInput(
    field,
    'holds a user or a password, which do not belong into a reference',
    'Give them with registry_auth, or at a terminal with coppice login.',
  );
}

/** As docker does: the first part is a host when it looks like one. */
function splitRegistry(rest: string, always: boolean): { registry: string; path: string } {
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  const isRegistry = always || /[.:]|^localhost$|[A-Z]/.test(first);
  if (!isRegistry || slash < 0) return { registry: always ? rest : DOCKER_HUB, path: always ? '' : rest };
  return { registry: first, path: rest.slice(slash + 1) };
}

function splitDigest(path: string, field: string): { name: string; digest: string | undefined } {
  const at = path.indexOf('@');
  if (at < 0) return { name: path, digest: undefined };
  const digest = path.slice(at + 1);
  if (!isDigest(digest)) throw invalidInput(field, `${digest} is not a digest, as sha256: and 64 hexadecimal digits`);
  return { name: path.slice(0, at), digest };
}

function splitTag(name: string): { repository: string; tag: string | undefined } {
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  return colon < 0
    ? { repository: name, tag: undefined }
    : { repository: name.slice(0, colon), tag: name.slice(colon + 1) };
}

function isHost(text: string): boolean {
  const found = HOST.exec(text);
  return found !== null && (found[1] === undefined || (Number(found[1]) > 0 && Number(found[1]) < 65_536));
}

function checkRepository(written: string, repository: string, field: string): void {
  if (written === '') throw invalidInput(field, 'names no image', 'Write it as docker://python:3.11-slim.');
  if (repository.length <= 255 && REPOSITORY.test(repository)) return;
  const cure = /[A-Z]/.test(repository) ? 'Names of images are written in lower case.' : undefined;
  throw invalidInput(field, `${JSON.stringify(written)} is not the name of an image`, cure);
}

/** `python:3.11-slim`, `localhost:5000/team/app:1`, `python@sha256:…`: what people call it. */
export function shortName(reference: RegistryReference): string {
  const { registry, repository, tag, digest } = reference;
  const name = registry === DOCKER_HUB ? repository.replace(/^library\/(?!.*\/)/, '') : `${registry}/${repository}`;
  if (digest !== undefined) return `${name}${tag === undefined ? '' : `:${tag}`}@${digest}`;
  return `${name}:${tag ?? 'latest'}`;
}

/** The same text for every way to write the same reference; images remember it as their source. */
export function canonicalSource(reference: RegistryReference): string {
  return `${reference.plainHttp ? 'http' : 'docker'}://${shortName(reference)}`;
}

/** Where it is really asked. */
export function registryHost(reference: RegistryReference): string {
  return reference.registry === DOCKER_HUB ? 'registry-1.docker.io' : reference.registry;
}

export const tagOrDigest = (reference: RegistryReference): string => reference.digest ?? reference.tag ?? 'latest';

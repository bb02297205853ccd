import { existsSync } from 'node:fs';
import path from 'node:path';
import { invalidInput } from '../protocol/errors.ts';
import { placeReadings, readSource } from '../protocol/imageSource.ts';
import type { VerbName } from '../protocol/verbs.ts';
import type { Fence } from './fence.ts';

/** How a verb's field names a place on this machine. */
type HostPath =
  /** Files are read or written there: only inside the fence. */
  | 'reached'
  /** The same, and the agent's own folder when it is left out. */
  | 'home'
  /** The same, and a slash at its end says something: that it is a folder to put things into. */
  | 'target'
  /** A source as `import_image` takes it: fenced when it is a path. */
  | 'source'
  /** A file that the verb's `context` holds unless it is absolute; left out, the one that is meant all the same. */
  | 'dockerfile'
  /** Only a name for a folder, whose branch is the default: the agent's own folder unless it says otherwise. */
  | 'workspace';

const HOST_PATHS: { readonly [V in VerbName]?: { readonly [field: string]: HostPath } } = {
  run: { workspace: 'workspace' },
  rsync: { source: 'home' },
  states: { source: 'reached' },
  apply: { to: 'reached' },
  upload: { path: 'reached' },
  download: { destination: 'target' },
  import_image: { registry_url: 'source' },
  export_image: { destination: 'target' },
  build: { context: 'reached', dockerfile: 'dockerfile' },
  branch: { workspace: 'workspace' },
  checkout: { workspace: 'workspace' },
  rollback: { workspace: 'workspace' },
  branches: { workspace: 'workspace' },
  create_sandbox: { workspace: 'workspace' },
};

/** What may be left out where the agent has a folder of its own. */
const DEFAULTED: ReadonlySet<HostPath> = new Set(['home', 'workspace']);

/** The fields of a verb that an agent need not give. */
export function defaultedFields(verb: VerbName): readonly string[] {
  return Object.entries(HOST_PATHS[verb] ?? {})
    .filter(([, use]) => DEFAULTED.has(use))
    .map(([field]) => field);
}

/** The input with every host path absolute and allowed, or an error that names the field. */
export function withHostPaths(
  verb: VerbName,
  input: Readonly<Record<string, unknown>>,
  fence: Fence,
): Record<string, unknown> {
  const checked: Record<string, unknown> = { ...input };
  for (const [field, use] of Object.entries(HOST_PATHS[verb] ?? {})) {
    const value = use === 'dockerfile' ? dockerfileOf(input[field], checked.context) : input[field];
    if (value === undefined && DEFAULTED.has(use) && fence.home !== undefined) checked[field] = fence.home;
    // What is no path at all is refused by the engine, with its own words.
    if (typeof value !== 'string' || value === '') continue;
    checked[field] = use === 'source' ? insideSource(fence, field, value) : fence.inside(field, value);
    if (use === 'target' && /[\\/]$/.test(value)) checked[field] += path.sep;
  }
  return checked;
}

/** Where it leads is checked too: errors quote its lines. */
function dockerfileOf(value: unknown, context: unknown): unknown {
  if (typeof context !== 'string') return value;
  if (value === undefined) return path.join(context, 'Dockerfile');
  return typeof value === 'string' && value !== '' ? path.resolve(context, value) : value;
}

function insideSource(fence: Fence, field: string, text: string): string {
  const source = readSource(text);
  if (source?.kind === 'rootfs') return `rootfs:${insidePlace(fence, field, 'rootfs', source.path)}`;
  if (source?.kind !== 'archive') return text;
  insidePlace(fence, field, source.scheme, source.place);
  // Whatever the engine takes for the path is inside; the one that is there becomes the place it really is.
  const readings = placeReadings(source.place).map(({ path: asked, name }) => ({
    place: fence.inside(field, asked),
    name,
  }));
  const { place, name } = readings.find(reading => existsSync(reading.place)) ?? readings[0]!;
  return `${source.scheme}:${place}${name === undefined ? '' : `:${name}`}`;
}

function insidePlace(fence: Fence, field: string, scheme: string, asked: string): string {
  if (asked === '') throw invalidInput(field, `${scheme}: wants a path`);
  return fence.inside(field, asked);
}

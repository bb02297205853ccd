import type { ImageView, LineageEdge, Removal } from '../protocol/schemas/images.ts';
import { listText, stepLine } from './operations.ts';
import { ADDS, READS, REMOVES, SETS, type Verbs } from './verb.ts';
import { humanSize, oneLine, plural } from './wording.ts';

type ImageVerb =
  | 'import_image'
  | 'build'
  | 'export_image'
  | 'registry_auth'
  | 'list_images'
  | 'get_image'
  | 'set_tag'
  | 'remove_image'
  | 'prune'
  | 'lineage';

export const imageVerbs: Verbs<ImageVerb> = {
  import_image: {
    title: 'Import an image',
    description: [
      'Makes a base image. `docker://python:3.11-slim` (any registry, tag or digest) downloads it; `oci:/path`,',
      '`oci-archive:/path` and `docker-archive:/path`, with `:name` where it holds several, read what skopeo, buildah or',
      '`docker save` wrote; `rootfs:/path` takes a tar (plain, gzip or zstd) or a folder; `host:` is this machine’s own',
      'system copy-on-write, with no download. Look first with list_images: what is already here is answered at once with',
      'already_present:true and no download, and needs no force; a tag that moved in the registry is noticed.',
      'Without network the image from before is answered with checked:false.',
    ].join('\n'),
    annotations: { ...ADDS, idempotent: true, openWorld: true },
    core: true,
    render: result =>
      [
        result.already_present
          ? `image ${result.image}${tagText(result.tag)} was already here`
          : `image ${result.image ?? '(being imported)'}${tagText(result.tag)} ${result.status}`,
        ...(result.operation_id === null ? [] : [`operation ${result.operation_id}`]),
        ...(result.checked ? [] : ['the source could not be asked; this is the local one']),
        ...(result.error ? [`error ${result.error.code}: ${result.error.message}`] : []),
        ...(result.error?.fix ? [`fix: ${result.error.fix}`] : []),
        ...result.hints.map(hint => `hint: ${hint}`),
      ].join('\n'),
  },
  build: {
    title: 'Build a Dockerfile',
    description:
      'Builds the Dockerfile of a folder into an image whose parent is the image it was built on. FROM takes names in a ' +
      'registry (what is not here is imported first, also with wait:false), and images of Coppice: tag:NAME, branch:NAME or a UUID. Only the docker ' +
      'runtime builds; elsewhere use run with steps. A failure names step, command and exit code; read_output has all of ' +
      'it. build_args are no place for secrets.',
    annotations: { ...ADDS, openWorld: true },
    core: false,
    render: result =>
      [
        `image ${result.image ?? (result.error ? '(none)' : '(being built)')}${tagText(result.tag)} ${result.status}`,
        `operation ${result.operation_id}`,
        ...(result.parent === null ? [] : [`parent ${result.parent}`]),
        ...result.steps.map(stepLine),
        ...(result.error ? [`error ${result.error.code}: ${result.error.message}`] : []),
        ...(typeof result.error?.data?.output === 'string' && result.error.data.output !== ''
          ? ['its last lines:', result.error.data.output]
          : []),
        ...(result.error?.fix ? [`fix: ${result.error.fix}`] : []),
        ...result.hints.map(hint => `hint: ${hint}`),
      ].join('\n'),
  },
  export_image: {
    title: 'Export an image',
    description:
      'Writes an image into one file, atomically: oci-archive (skopeo, podman, buildah and docker load read it) or ' +
      'docker-archive, a layer for each kept run and the lineage in history and labels; rootfs is a plain tar of all files. ' +
      'import_image takes all three back. Images that stand on host: cannot be exported.',
    annotations: { readOnly: false, destructive: true, idempotent: true, openWorld: true },
    core: false,
    render: result =>
      `${result.destination}: ${result.format}, ${humanSize(result.size)}, ${plural(result.layers, 'layer')}\n${result.digest}`,
  },
  registry_auth: {
    title: 'Log in to a registry',
    description:
      'Keeps a user name and a token for a registry, once the registry has taken them; import_image uses them from then ' +
      'on. What docker login or a credential helper of Docker’s keeps is used without this. forget:true takes it back. ' +
      'Never make a token up: ask the person, who may rather type coppice login at a terminal.',
    annotations: { ...SETS, openWorld: true },
    core: true,
    render: ({ registry, username, status, hints }) => {
      const texts = {
        kept: `${registry} takes ${username}; kept`,
        not_needed: `${registry} asks nobody who he is; nothing was kept`,
        forgotten: `what was kept of ${username} for ${registry} is gone`,
        not_known: `nothing is kept for ${registry}`,
      };
      return [texts[status], ...hints.map(hint => `hint: ${hint}`)].join('\n');
    },
  },
  list_images: {
    title: 'List images',
    description:
      'Images, newest first: UUID, tag, size added to the parent, what made it. Look here before import_image. ' +
      'Filter by tag_prefix; images without a tag are results of kept runs, use them by UUID.',
    annotations: READS,
    core: true,
    render: ({ images, total }) =>
      listText(
        images.map(imageLine),
        total,
        'image',
        'No images. import_image {"registry_url":"host:"} makes the first.',
      ),
  },
  get_image: {
    title: 'Look at an image',
    description: 'One image with its configuration (environment, working directory, user), sizes and what made it.',
    annotations: READS,
    core: true,
    render: image =>
      [
        imageLine(image),
        `size ${humanSize(image.size)}, with ancestors ${humanSize(image.total_size)}; depth ${image.depth}`,
        `parent ${image.parent ?? 'none'}${image.operation_id === null ? '' : `; made by ${image.operation_id}`}`,
        `cwd ${image.config.cwd || '/'}; user ${image.config.user || '0'}; ${image.config.architecture}`,
        ...Object.entries(image.config.env).map(([name, value]) => `env ${name}=${value}`),
      ].join('\n'),
  },
  set_tag: {
    title: 'Tag an image',
    description:
      'Gives an image a name that stays when you come back, or takes it away with tag:null. A tag that another image has ' +
      'moves here, and the answer says whose it was. Tag what is reused often; for one-off results the UUID is enough.',
    annotations: SETS,
    core: true,
    render: result =>
      [
        result.tag === null
          ? `image ${result.image} has no tag now${result.previous_tag === null ? '' : ` (it was ${result.previous_tag})`}`
          : `image ${result.image} is tag:${result.tag}`,
        ...(result.moved_from === null ? [] : [`the tag was on ${result.moved_from} until now`]),
        ...result.hints.map(hint => `hint: ${hint}`),
      ].join('\n'),
  },
  remove_image: {
    title: 'Remove an image',
    description:
      'Removes one image. Tagged, in use, on a branch or the parent of another image it is refused, and the refusal says ' +
      'why; force:true removes it nevertheless. There is no undo.',
    annotations: REMOVES,
    core: false,
    render: result => removalText(result.removed, result.freed_bytes, 'removed'),
  },
  prune: {
    title: 'Prune images',
    description:
      'Removes images that were not used for a while (14 days unless told otherwise) and that no tag, branch or kept ' +
      'image needs. Call with dry_run:true first: it only says what would go and why.',
    annotations: REMOVES,
    core: false,
    render: result => removalText(result.removed, result.freed_bytes, result.dry_run ? 'would remove' : 'removed'),
  },
  lineage: {
    title: 'Show lineage',
    description:
      'Where an image comes from and what was made from it: parent, ancestors to the root, children, each with the ' +
      'command and exit code of that step. To roll back after a failure, run again from the parent’s UUID.',
    annotations: READS,
    core: true,
    render: result =>
      [
        `image ${result.image}${tagText(result.tag)}, depth ${result.depth}`,
        ...(result.parent === null
          ? [`root, from ${result.root.registry_url ?? 'an unknown source'}`]
          : [`parent ${edgeText(result.parent)}`]),
        ...result.ancestors.slice(1).map(edge => `ancestor ${edgeText(edge)}`),
        ...(result.parent === null ? [] : [`root ${result.root.image} from ${result.root.registry_url ?? 'unknown'}`]),
        ...result.children.map(edge => `child ${edgeText(edge)}`),
        ...(result.is_known ? [] : ['the chain breaks off at an image that is no longer here']),
      ].join('\n'),
  },
};

function imageLine(image: ImageView): string {
  const branches = image.branches.length > 0 ? ` branch ${image.branches.join(', ')}` : '';
  const drifted = image.drifted ? ' (drifted: this machine has changed since)' : '';
  return `${image.uuid}${tagText(image.tag)}${branches} ${humanSize(image.size)} · ${oneLine(image.title, 100)}${drifted}`;
}

const tagText = (tag: string | null): string => (tag === null ? '' : ` tag:${tag}`);

function edgeText(edge: LineageEdge): string {
  const exit = edge.exit_code === null ? '' : ` (exit ${edge.exit_code})`;
  return `${edge.image}${tagText(edge.tag)}${edge.command === null ? '' : ` · ${oneLine(edge.command, 100)}${exit}`}`;
}

function removalText(removed: readonly Removal[], freed: number, word: string): string {
  if (removed.length === 0) return 'Nothing to remove.';
  return [
    ...removed.map(image => `${image.image}${tagText(image.tag)} ${humanSize(image.size)} · ${image.reason}`),
    `${word} ${plural(removed.length, 'image')}, ${humanSize(freed)}`,
  ].join('\n');
}

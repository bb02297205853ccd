import path from 'node:path';
import { humanSize, plural } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { ProgressLine } from '../progressLine.ts';
import { UsageError } from '../usageError.ts';

const FORMATS = ['oci-archive', 'docker-archive', 'rootfs'] as const;
type Format = (typeof FORMATS)[number];

export const exportImage = defineCommand({
  name: 'export',
  group: 'Images',
  summary: 'Write an image into a file',
  description:
    'An oci-archive is what skopeo, podman, buildah and docker load read: a layer for each kept run, the commands in its\n' +
    'history, the lineage in its labels. A docker-archive is the same as docker save wrote it of old; rootfs is one plain\n' +
    'tar of all files. coppice import takes each of them back. Images that stand on host: cannot be exported.',
  arguments: [
    { name: 'IMAGE', help: 'A tag, a UUID or its beginning, branch:NAME', completes: 'image' },
    { name: 'TO', help: 'A file, or a folder to put it into (default: here)', optional: true, completes: 'file' },
  ],
  options: {
    format: {
      short: 'f',
      value: 'FORMAT',
      help: 'oci-archive (default), docker-archive or rootfs',
      completes: FORMATS,
    },
    'no-overwrite': { help: 'Fail rather than overwrite' },
  },
  examples: [
    ['coppice export built ./built.tar', 'then: docker load -i built.tar'],
    ['coppice export branch:main --format rootfs main-rootfs.tar', 'its files alone'],
  ],
  run: async (context, { words: [image = '', to], options }) => {
    const format = options.format ?? 'oci-archive';
    if (!isFormat(format)) throw new UsageError(`--format is one of ${FORMATS.join(', ')}`, 'export');
    const client = await context.connect();
    const progress = new ProgressLine(context.terminal.err);
    const cancel = new AbortController();
    const asked = path.resolve(context.cwd, to ?? '.');
    const result = await context.interrupts.during(
      () => cancel.abort(),
      () =>
        client
          .call(
            'export_image',
            {
              image,
              destination: to?.endsWith('/') ? `${asked}/` : asked,
              format,
              overwrite: !options['no-overwrite'],
            },
            { signal: cancel.signal, onProgress: progress.show },
          )
          .finally(() => progress.clear()),
    );
    const { out } = context.terminal;
    if (context.json) printJson(context, result);
    else {
      const layers = format === 'rootfs' ? '' : `${plural(result.layers, 'layer')}, `;
      out.line(`${result.destination}  ${out.style('dim', `${layers}${humanSize(result.size)}`)}`);
    }
    return EXIT.ok;
  },
});

function isFormat(text: string): text is Format {
  return (FORMATS as readonly string[]).includes(text);
}

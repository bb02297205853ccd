import path from 'node:path';
import { shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { errorLine } from '../errorReport.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { ProgressLine } from '../progressLine.ts';
import { chosenRuntime, connectWith, dockerHostOption, runtimeOption } from '../runtimeOptions.ts';

const PLATFORMS = ['linux/amd64', 'linux/arm64', 'linux/arm/v7'];

export const importImage = defineCommand({
  name: 'import',
  group: 'Images',
  summary: 'Make a base image',
  description:
    'A name is an image in a registry, as docker takes it: python:3.11-slim, ghcr.io/owner/app@sha256:…. oci:PATH,\n' +
    'oci-archive:PATH and docker-archive:PATH read what skopeo, buildah, podman or docker save wrote, with :NAME after the\n' +
    'path where it holds several images. docker-daemon:NAME is one that Docker or Podman has already. rootfs:PATH takes a\n' +
    'tar (plain, gzip or zstd) or a folder; host: is this machine’s own system, copy-on-write and with no download. What is\n' +
    'already here is not imported again.\n\n' +
    'Who needs a password gives it to coppice login; what docker login keeps is used too. Registries are asked by TLS, but\n' +
    'for this machine’s own; http://HOST/NAME asks one without.',
  arguments: [{ name: 'SOURCE', help: 'A name, host:, SCHEME:PATH, or a path', completes: 'file' }],
  options: {
    tag: { short: 't', value: 'TAG', help: 'Name the image' },
    platform: { value: 'OS/ARCH', help: 'Of an image made for several; default: this machine’s', completes: PLATFORMS },
    force: { help: 'Import again although it is here' },
    ...runtimeOption,
    ...dockerHostOption,
  },
  examples: [
    ['coppice import host: --tag base', 'this machine as a base'],
    ['coppice import python:3.11-slim', 'from Docker Hub'],
    ['coppice import oci-archive:./app.tar', 'what skopeo or buildah wrote'],
    ['coppice import ./debian.tar.gz -t debian', 'a root file system'],
    ['coppice import docker-daemon:app --docker-host ssh://me@box', 'what is in the Docker of another machine'],
  ],
  run: async (context, { words, options }) => {
    const runtime = chosenRuntime('import', options.runtime);
    const client = await connectWith(context, options['docker-host']);
    const progress = new ProgressLine(context.terminal.err);
    const cancel = new AbortController();
    const result = await context.interrupts.during(
      () => cancel.abort(),
      () =>
        client
          .call(
            'import_image',
            {
              registry_url: absoluteSource(words[0]!, context.cwd),
              ...(options.tag === undefined ? {} : { tag: options.tag }),
              ...(options.platform === undefined ? {} : { platform: options.platform }),
              ...(runtime === undefined ? {} : { runtime }),
              force: options.force,
            },
            { onProgress: progress.show, signal: cancel.signal },
          )
          .finally(() => progress.clear()),
    );
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.error) err.line(`${err.style('red', 'coppice:')} ${errorLine(result.error)}`);
    else if (result.image !== null) {
      const tag = result.tag === null ? '' : `  ${out.style('green', result.tag)}`;
      const note = result.already_present ? out.style('dim', '  already here') : '';
      if (!result.already_present || !result.checked || result.hints.some(hint => hint.includes('has moved')))
        for (const hint of result.hints) err.line(err.style('dim', hint));
      out.line(`${out.style('cyan', shortId(result.image))}${tag}${note}`);
    }
    if (result.status === 'CANCELLED') return EXIT.cancelled;
    return result.status === 'SUCCESS' ? EXIT.ok : EXIT.failed;
  },
});

/** Sources that name a place on this machine are relative to where the person is. */
export function absoluteSource(source: string, cwd: string): string {
  const [, scheme, place] = /^(rootfs|oci|oci-archive|docker-archive):(?!\/\/)(.+)$/s.exec(source) ?? [];
  if (scheme !== undefined && place !== undefined) return `${scheme}:${path.resolve(cwd, place)}`;
  if (/^\.{0,2}\//.test(source)) return `rootfs:${path.resolve(cwd, source)}`;
  return source;
}
